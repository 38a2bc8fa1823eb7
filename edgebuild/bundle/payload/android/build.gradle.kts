// @ORIGIN@
plugins {
    id("com.android.library") version "8.10.0" apply false
    id("com.android.ai-pack") version "8.10.0" apply false
    id("org.jetbrains.kotlin.android") version "2.1.20" apply false
}
