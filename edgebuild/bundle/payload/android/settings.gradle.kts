// @ORIGIN@
// The modules by themselves, to run their self-test; an app of yours includes the two modules alone (README.md).
pluginManagement {
    repositories {
        google()
        mavenCentral()
        gradlePluginPortal()
    }
}
dependencyResolutionManagement {
    repositories {
        google()
        mavenCentral()
    }
}
rootProject.name = "@NAME@"
include(":@NAME@")
include(":@NAME@_kotlin")
