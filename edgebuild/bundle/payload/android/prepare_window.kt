// @ORIGIN@
package @PACKAGE@

import org.json.JSONObject

/** The outputs for samples of a sensor, each with a value for each signal: the first `length` of them count. */
fun Model.predict(samples: List<FloatArray>): List<FloatArray> = predict(prepareWindow(samples, preprocess!!))

/** Samples as the model's input: (value - mean) / std of each signal, as preprocess.json says. */
fun prepareWindow(samples: List<FloatArray>, how: JSONObject): FloatArray {
    val (length, signals) = how.getInt("length") to how.getJSONArray("signals").length()
    require(samples.size >= length) { "there are ${samples.size} samples, and a window has $length" }
    val (mean, std) = how.getJSONArray("mean").floats() to how.getJSONArray("std").floats()
    val timeFirst = how.getBoolean("time_first")
    return FloatArray(length * signals) {
        val (time, signal) = if (timeFirst) it / signals to it % signals else it % length to it / length
        (samples[time][signal] - mean.at(signal)) / std.at(signal)
    }
}
