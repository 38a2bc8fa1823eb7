// @ORIGIN@
plugins {
    id("com.android.ai-pack")
}

aiPack {
    packName = "@NAME@"
    dynamicDelivery {
        deliveryType = "install-time"
    }
}
