// @ORIGIN@
package @PACKAGE@

import android.graphics.Bitmap
import org.json.JSONObject
import kotlin.math.abs
import kotlin.math.max
import kotlin.math.min

/** The outputs for a picture, held as its camera was; its alpha does not count. */
fun Model.predict(picture: Bitmap): List<FloatArray> {
    val argb = IntArray(picture.width * picture.height)
    picture.getPixels(argb, 0, picture.width, 0, 0, picture.width, picture.height)
    return predict(preparePicture(Pixels.of(argb, picture.width, picture.height), preprocess!!))
}

/** Pixels of 8 bits a channel, row by row, each with all its channels. */
class Pixels(val width: Int, val height: Int, val channels: Int, val values: FloatArray) {
    companion object {
        /** Of colours as Android packs them. */
        fun of(argb: IntArray, width: Int, height: Int): Pixels {
            val values = FloatArray(3 * argb.size) { (argb[it / 3] shr (16 - 8 * (it % 3)) and 0xff).toFloat() }
            return Pixels(width, height, 3, values)
        }
    }
}

/** A picture as the model's input: (pixel / 255 - mean) / std of each channel, as preprocess.json says. */
fun preparePicture(pixels: Pixels, how: JSONObject): FloatArray {
    val fitted = fitted(pixels, how.getInt("height"), how.getInt("width"), how.getInt("channels"), share(how))
    val (mean, std) = how.getJSONArray("mean").floats() to how.getJSONArray("std").floats()
    val real = how.optString("dtype", "float32") == "float32"
    val (count, area) = fitted.channels to fitted.width * fitted.height
    val first = how.getString("layout") != "nhwc"
    return FloatArray(fitted.values.size) {
        val (channel, place) = if (first) it / area to it % area else it % count to it / count
        val own = if (how.optString("order") == "bgr") count - 1 - channel else channel
        val pixel = fitted.values[place * count + own].let { value -> if (how.getBoolean("invert")) 255 - value else value }
        if (real) (pixel / 255 - mean.at(channel)) / std.at(channel) else pixel
    }
}

private fun share(how: JSONObject): Float? = if (how.isNull("crop")) null else how.getDouble("crop").toFloat()

/** With the model's size and channels; grey is ITU-R BT.601 luma, and what is computed is rounded. */
private fun fitted(pixels: Pixels, height: Int, width: Int, channels: Int, crop: Float?): Pixels {
    if (pixels.height == height && pixels.width == width && pixels.channels == channels) return pixels
    val grey = if (channels == 1 && pixels.channels == 3) luma(pixels) else pixels
    val sized = resized(grey, height, width, crop)
    val values = if (channels == 3 && sized.channels == 1) FloatArray(3 * sized.values.size) { sized.values[it / 3] } else sized.values
    val rounded = FloatArray(values.size) { Math.rint(values[it].toDouble()).coerceIn(0.0, 255.0).toFloat() }
    return Pixels(width, height, channels, rounded)
}

private fun luma(pixels: Pixels): Pixels {
    val from = pixels.values
    val values = FloatArray(from.size / 3) { 0.299f * from[3 * it] + 0.587f * from[3 * it + 1] + 0.114f * from[3 * it + 2] }
    return Pixels(pixels.width, pixels.height, 1, values)
}

/** Bilinear, with pixel centres at half coordinates; where it shrinks, each pixel is a mean of those that it covers. */
private fun resized(pixels: Pixels, height: Int, width: Int, crop: Float?): Pixels {
    if (pixels.height == height && pixels.width == width) return pixels
    var (high, wide) = pixels.height.toDouble() to pixels.width.toDouble()
    if (crop != null) {
        val scale = crop * min(high / height, wide / width)
        high = scale * height
        wide = scale * width
    }
    val row = pixels.width * pixels.channels
    val rows = mixed(pixels.values, pixels.height, row, weights(pixels.height, high, height))
    val tall = Pixels(pixels.width, height, pixels.channels, rows)
    val shares = weights(pixels.width, wide, width)
    val out = FloatArray(height * width * pixels.channels)
    for (y in 0 until height) {
        val line = tall.values.copyOfRange(y * row, (y + 1) * row)
        mixed(line, pixels.width, pixels.channels, shares).copyInto(out, y * width * pixels.channels)
    }
    return Pixels(width, height, pixels.channels, out)
}

/** Rows of a matrix [count, row] mixed by shares, each of (the first place, its share and those that follow). */
private fun mixed(values: FloatArray, count: Int, row: Int, shares: List<Pair<Int, FloatArray>>): FloatArray {
    val out = FloatArray(shares.size * row)
    shares.forEachIndexed { to, (first, own) ->
        own.forEachIndexed { step, share ->
            if (first + step < count) for (x in 0 until row) out[to * row + x] += share * values[(first + step) * row + x]
        }
    }
    return out
}

/** For each of `size` pixels a triangle around its centre in those that a part in the middle of `length` becomes. */
private fun weights(length: Int, part: Double, size: Int): List<Pair<Int, FloatArray>> {
    val step = part / size
    return List(size) { place ->
        val centre = (length - part) / 2 + (place + 0.5) * step
        val shares = DoubleArray(length) { max(0.0, 1 - abs(it + 0.5 - centre) / max(step, 1.0)) }
        val first = shares.indexOfFirst { it > 0 }
        val last = shares.indexOfLast { it > 0 }
        val sum = shares.sum()
        first to FloatArray(last - first + 1) { (shares[first + it] / sum).toFloat() }
    }
}
