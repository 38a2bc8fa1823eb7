// @ORIGIN@
package @PACKAGE@

import org.json.JSONObject
import kotlin.math.exp
import kotlin.math.max
import kotlin.math.min
import kotlin.math.pow
import kotlin.math.tanh

/** What was detected: corners as shares of the picture. */
data class Detection(val label: Int, val score: Float, val left: Float, val top: Float, val right: Float, val bottom: Float)

/** The detections of a head that are sure enough to be shown, best first. */
fun Model.detections(outputs: List<FloatArray>, head: Head = heads.first { it.decoder != null }): List<Detection> {
    val how = head.decoder!!
    val shapes = head.outputs.map { this.outputs[it].shape }
    return decoded(how, head.outputs.map { outputs[it] }, shapes).filter { it.score >= how.getDouble("show") }
}

/** All detections of one picture, by the decoder of signature.json; `shapes` are those of the outputs, batch first. */
fun decoded(how: JSONObject, outputs: List<FloatArray>, shapes: List<List<Int>>): List<Detection> {
    val candidates = when (val kind = how.getString("kind")) {
        "fastestdet" -> fastestdet(outputs[0], shapes[0])
        "yolo" -> yolo(how, outputs[0], shapes[0])
        "ssd" -> ssd(how, outputs[0], outputs[1], shapes[1].last())
        "detected" -> detected(how, outputs)
        else -> error("there is no decoder $kind")
    }
    val likely = candidates.filter { it.score > how.getDouble("score").toFloat() }.sortedByDescending { it.score }
    return suppressed(likely, how.getDouble("iou").toFloat(), how.getInt("most")).map {
        it.copy(left = share(it.left), top = share(it.top), right = share(it.right), bottom = share(it.bottom))
    }
}

/** Non-maximum suppression: none covers a better one of its class by more than the limit. */
private fun suppressed(likely: List<Detection>, limit: Float, most: Int): List<Detection> {
    val kept = mutableListOf<Detection>()
    for (one in likely) {
        if (kept.size == most) break
        if (kept.none { it.label == one.label && overlap(it, one) > limit }) kept += one
    }
    return kept
}

private fun overlap(one: Detection, other: Detection): Float {
    val wide = max(0f, min(one.right, other.right) - max(one.left, other.left))
    val high = max(0f, min(one.bottom, other.bottom) - max(one.top, other.top))
    return wide * high / max(area(one) + area(other) - wide * high, 1e-12f)
}

private fun area(one: Detection): Float = (one.right - one.left) * (one.bottom - one.top)

/** One map [5 + classes, H, W]: score o^0.6 * c^0.4, centre (tanh + cell) / cells, size sigmoid. */
private fun fastestdet(map: FloatArray, shape: List<Int>): List<Detection> {
    val (high, wide) = shape[2] to shape[3]
    val cells = high * wide
    return List(cells) { cell ->
        val values = FloatArray(shape[1]) { map[it * cells + cell] }
        val (label, class_) = best(values.drop(5).map { it.coerceIn(1e-6f, 1f) })
        val (x, y) = (tanh(values[1]) + cell % wide) / wide to (tanh(values[2]) + cell / wide) / high
        val score = values[0].coerceIn(1e-6f, 1f).pow(0.6f) * class_.pow(0.4f)
        boxed(label, score, floatArrayOf(x, y, sigmoid(values[3]), sigmoid(values[4])), "centre", null)
    }
}

/** Rows [anchors, 4 + classes], or 4 + 1 + classes with an objectness; columns first where these are fewer. */
private fun yolo(how: JSONObject, output: FloatArray, shape: List<Int>): List<Detection> {
    val turned = shape[1] < shape[2]
    val (rows, columns) = if (turned) shape[2] to shape[1] else shape[1] to shape[2]
    return List(rows) { row ->
        val values = FloatArray(columns) { if (turned) output[it * rows + row] else output[row * columns + it] }
        val scores = values.drop(4).map { if (how.getBoolean("logits")) sigmoid(it) else it }
        val own = if (how.getBoolean("objectness")) scores.drop(1).map { it * scores[0] } else scores
        val (label, score) = best(own)
        boxed(label, score, values, how.getString("corners"), how)
    }
}

/** Boxes [A, 4] and scores [A, classes], whose first column is the background where the decoder says so. */
private fun ssd(how: JSONObject, boxes: FloatArray, scores: FloatArray, columns: Int): List<Detection> =
    List(boxes.size / 4) { row ->
        val raw = List(columns) { scores[row * columns + it] }
        val shares = if (!how.getBoolean("logits")) raw else if (how.getBoolean("background")) softmax(raw) else raw.map(::sigmoid)
        val (label, score) = best(if (how.getBoolean("background")) shares.drop(1) else shares)
        boxed(label, score, boxes.copyOfRange(4 * row, 4 * row + 4), how.getString("corners"), how)
    }

/** Boxes [A, 4], classes [A], scores [A], and perhaps how many of them count, of a file that has chosen them itself. */
private fun detected(how: JSONObject, outputs: List<FloatArray>): List<Detection> {
    val count = if (outputs.size > 3) outputs[3][0].toInt() else outputs[2].size
    val first = if (how.getBoolean("background")) 1 else 0
    return List(min(count, outputs[2].size)) { row ->
        val box = outputs[0].copyOfRange(4 * row, 4 * row + 4)
        boxed(outputs[1][row].toInt() - first, outputs[2][row], box, how.getString("corners"), how)
    }.filter { it.label >= 0 }
}

/** A box out of its four numbers, whatever they are, in shares of the picture. */
private fun boxed(label: Int, score: Float, numbers: FloatArray, corners: String, how: JSONObject?): Detection {
    val (a, b, c, d) = numbers
    val (x, y) = when (corners) {
        "centre" -> (a - c / 2 to a + c / 2) to (b - d / 2 to b + d / 2)
        "yxyx" -> (b to d) to (a to c)
        else -> (a to c) to (b to d)
    }
    val size = how?.optJSONArray("size")?.floats() ?: floatArrayOf(1f, 1f)
    return Detection(label, score, x.first / size[0], y.first / size[1], x.second / size[0], y.second / size[1])
}

private fun best(scores: List<Float>): Pair<Int, Float> = scores.indices.maxByOrNull { scores[it] }!!.let { it to scores[it] }

private fun softmax(values: List<Float>): List<Float> {
    val raised = values.map { exp(it.coerceIn(-60f, 60f)) }
    return raised.map { it / raised.sum() }
}

private fun sigmoid(value: Float): Float = 1 / (1 + exp(-value.coerceIn(-60f, 60f)))

private fun share(value: Float): Float = value.coerceIn(0f, 1f)
