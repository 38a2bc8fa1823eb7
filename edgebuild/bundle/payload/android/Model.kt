// @ORIGIN@
package @PACKAGE@

import android.content.Context
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import org.json.JSONArray
import org.json.JSONObject
import kotlin.math.abs
import kotlin.math.exp

/** What one task makes of the answers: the places of its outputs, its labels, and how outputs become boxes. */
class Head internal constructor(json: JSONObject) {
    val name: String = json.getString("name")
    val task: String = json.getString("task")
    val outputs: List<Int> = json.getJSONArray("outputs").let { list -> List(list.length()) { list.getInt(it) } }
    val labels: List<String> = json.getJSONArray("labels").let { list -> List(list.length()) { list.getString(it) } }
    val decoder: JSONObject? = json.optJSONObject("decoder")
    internal val areProbabilities = json.optString("scores") == "probabilities"
}

/** A label and its probability. */
data class Scored(val label: String, val probability: Float)

/**
 * The model, opened by LiteRT. Values are real, of one example with a batch of 1, and laid out as in PyTorch, channels
 * first; what the file stores instead (channels last, integers) is made of them here.
 */
class Model private constructor(
    private val compiled: CompiledModel,
    private val signature: JSONObject,
    /** How what people have becomes the inputs: preprocess.json, or null. */
    val preprocess: JSONObject?,
    private val read: (String) -> ByteArray,
) : AutoCloseable {
    val version: String = signature.getString("version")
    val released: Boolean = signature.getBoolean("released")
    val inputs: List<Port> = signature.getJSONArray("inputs").each { Port(it) }
    val outputs: List<Port> = signature.getJSONArray("outputs").each { Port(it) }
    val heads: List<Head> = signature.getJSONArray("heads").each { Head(it) }

    private val taken = inputs.associate { it.name to compiled.createInputBuffer(it.name) }
    private val given = outputs.associate { it.name to compiled.createOutputBuffer(it.name) }

    /** The outputs in their order for the inputs in theirs; one call at a time. */
    @Synchronized
    fun predict(vararg values: FloatArray): List<FloatArray> {
        require(values.size == inputs.size) { "the model takes ${inputs.size} inputs, not ${values.size}" }
        inputs.forEachIndexed { place, port -> port.write(values[place], taken.getValue(port.name)) }
        compiled.run(taken, given)
        return outputs.map { port -> port.read(given.getValue(port.name)) }
    }

    /** The labels of a head that ranks the values of one output, likeliest first. */
    fun ranked(outputs: List<FloatArray>, head: Head = heads.first()): List<Scored> {
        val logits = outputs[head.outputs.first()]
        if (logits.size == 1) { // of the second of two classes
            val second = if (head.areProbabilities) logits[0] else 1 / (1 + exp(-logits[0]))
            return head.labels.zip(listOf(1 - second, second)).map { (label, share) -> Scored(label, share) }
                .sortedByDescending { it.probability }
        }
        val most = logits.maxOrNull() ?: 0f
        val isSoftmax = logits.all { it >= 0 } && abs(logits.sum() - 1) <= 0.02f // 8 bits round probabilities
        val raised = if (isSoftmax) logits.toList() else logits.map { exp(it - most) }
        val sum = raised.sum()
        return head.labels.zip(raised.map { it / sum }).map { (label, share) -> Scored(label, share) }
            .sortedByDescending { it.probability }
    }

    /** A file of the pack, such as the vocabulary that preprocess.json names. */
    fun file(name: String): ByteArray = read(name)

    override fun close() {
        (taken.values + given.values).forEach { it.close() }
        compiled.close()
    }

    companion object {
        /** Where the model lies among the assets; Google Play strips the name of a device group from it. */
        const val FOLDER = "@NAME@"
        private const val FILE = "model.tflite"

        /** Whether this device has been given the model: one outside of its device group has an empty pack. */
        @JvmStatic
        @JvmOverloads
        fun isDelivered(context: Context, folder: String = FOLDER): Boolean =
            context.assets.list(folder)?.contains(FILE) == true

        /** Open the model; IllegalStateException where this device has none. What it was judged on is the CPU. */
        @JvmStatic
        @JvmOverloads
        fun open(context: Context, folder: String = FOLDER, accelerator: Accelerator = Accelerator.CPU): Model {
            check(isDelivered(context, folder)) { "no $folder/$FILE among the assets: is this device in its group?" }
            val read = { name: String -> context.assets.open("$folder/$name").use { it.readBytes() } }
            val there = context.assets.list(folder).orEmpty()
            val signature = JSONObject(String(read("signature.json")))
            val how = if ("preprocess.json" in there) JSONObject(String(read("preprocess.json"))) else null
            val options = CompiledModel.Options(accelerator)
            options.cpuOptions = CompiledModel.CpuOptions(signature.getInt("threads"))
            return Model(CompiledModel.create(context.assets, "$folder/$FILE", options), signature, how, read)
        }
    }
}

internal fun <T> JSONArray.each(read: (JSONObject) -> T): List<T> = List(length()) { read(getJSONObject(it)) }

internal fun JSONArray.floats(): FloatArray = FloatArray(length()) { getDouble(it).toFloat() }

/** The value for a place of which all share one, or each has its own. */
internal fun FloatArray.at(place: Int): Float = if (size == 1) this[0] else this[place]
