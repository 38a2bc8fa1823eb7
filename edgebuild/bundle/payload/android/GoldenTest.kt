// @ORIGIN@
package @PACKAGE@

import androidx.test.ext.junit.runners.AndroidJUnit4
import androidx.test.platform.app.InstrumentationRegistry
import org.json.JSONObject
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.math.abs

/** The model answers on this device as it did when it was judged: `gradle @MODULE@:connectedAndroidTest`. */
@RunWith(AndroidJUnit4::class)
class GoldenTest {
    private val context = InstrumentationRegistry.getInstrumentation().context

    @Test
    fun goldenInputsAreAnsweredAsWhenTheModelWasJudged() {
        val golden = JSONObject(String(bytes("golden.json")))
        Model.open(context, "@FOLDER@").use { model ->
            for (example in 0 until golden.getInt("examples")) {
                val inputs = model.inputs.indices.map { values("input_$it", example, model.inputs[it].size) }
                val outputs = model.predict(*inputs.toTypedArray())
                outputs.forEachIndexed { place, own ->
                    val expected = values("output_$place", example, own.size)
                    val off = own.indices.maxOfOrNull { abs(own[it] - expected[it]) } ?: 0f
                    val most = golden.getJSONArray("tolerance").getDouble(place)
                    assertTrue("${model.outputs[place].name} of golden input $example is off by $off", off <= most)
                }
            }
        }
    }

    private fun bytes(name: String): ByteArray = context.assets.open("golden/$name").use { it.readBytes() }

    /** One example of an array of little-endian float32. */
    private fun values(name: String, example: Int, size: Int): FloatArray {
        val all = ByteBuffer.wrap(bytes("$name.f32")).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer()
        return FloatArray(size) { all.get(example * size + it) }
    }
}
