// @ORIGIN@
package @PACKAGE@

import com.google.ai.edge.litert.TensorBuffer
import org.json.JSONObject

/** An input or output: its shape as in PyTorch, and how the file stores it, real = (stored - zeroPoint) * scale. */
class Port internal constructor(json: JSONObject) {
    val name: String = json.getString("name")
    val shape: List<Int> = json.getJSONArray("shape").let { list -> List(list.length()) { list.getInt(it) } }
    val dtype: String = json.getString("dtype")
    private val scale = json.getDouble("scale").toFloat()
    private val zeroPoint = json.getInt("zero_point")
    private val channelsLast = json.optString("layout") == "nhwc" && shape.size == 4
    val size: Int = shape.fold(1, Int::times)

    internal fun write(values: FloatArray, buffer: TensorBuffer) {
        require(values.size == size) { "$name has $size values, not ${values.size}" }
        val laid = if (channelsLast) turned(values, shape[1], shape[2] * shape[3]) else values
        when (dtype) {
            "float32" -> buffer.writeFloat(laid)
            "int8", "uint8" -> buffer.writeInt8(ByteArray(size) { stored(laid[it]).toByte() })
            "int32" -> buffer.writeInt(IntArray(size) { stored(laid[it]).toInt() })
            "int64" -> buffer.writeLong(LongArray(size) { stored(laid[it]) })
            "bool" -> buffer.writeBoolean(BooleanArray(size) { laid[it] != 0f })
            else -> error("$name is $dtype, which this program does not store")
        }
    }

    internal fun read(buffer: TensorBuffer): FloatArray {
        val laid = when (dtype) {
            "float32" -> buffer.readFloat()
            "int8" -> buffer.readInt8().let { raw -> FloatArray(size) { real(raw[it].toLong()) } }
            "uint8" -> buffer.readInt8().let { raw -> FloatArray(size) { real(raw[it].toLong() and 0xff) } }
            "int32" -> buffer.readInt().let { raw -> FloatArray(size) { real(raw[it].toLong()) } }
            "int64" -> buffer.readLong().let { raw -> FloatArray(size) { real(raw[it]) } }
            "bool" -> buffer.readBoolean().let { raw -> FloatArray(size) { if (raw[it]) 1f else 0f } }
            else -> error("$name is $dtype, which this program does not read")
        }
        return if (channelsLast) turned(laid, shape[2] * shape[3], shape[1]) else laid
    }

    /** Halves go to the even number, and what is too large to the largest. */
    private fun stored(value: Float): Long {
        if (scale == 0f) {
            require(value == Math.rint(value.toDouble()).toFloat()) { "$name takes whole numbers, not $value" }
            return value.toLong()
        }
        val (least, most) = when (dtype) {
            "int8" -> -128.0 to 127.0
            "uint8" -> 0.0 to 255.0
            else -> Int.MIN_VALUE.toDouble() to Int.MAX_VALUE.toDouble()
        }
        return (Math.rint((value / scale).toDouble()) + zeroPoint).coerceIn(least, most).toLong()
    }

    private fun real(stored: Long): Float = if (scale == 0f) stored.toFloat() else (stored - zeroPoint).toFloat() * scale

    /** Values of a matrix of so many rows and columns, column by column. */
    private fun turned(values: FloatArray, rows: Int, columns: Int): FloatArray =
        FloatArray(values.size) { values[it % rows * columns + it / rows] }
}
