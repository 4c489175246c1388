package spark_scoring.jvm;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.LinkedHashMap;
import org.apache.spark.SparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.UnsafeArrayData;
import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.unsafe.Platform;
import org.apache.spark.unsafe.types.UTF8String;
import scala.reflect.ClassTag$;

/**
 * One entry of `scores`, by a model that was compiled.
 *
 * Arguments: whether the row is wanted (null otherwise), its numbers as doubles, NaN for null, and its texts. The text
 * is `key/file/role/model/version`, each part quoted for URLs.
 */
public class ModelScores extends Bound {
  private static final UTF8String MODEL = UTF8String.fromString("MODEL"), VALUE = UTF8String.fromString("ValueError");
  private static final UTF8String NOT_FINITE = UTF8String.fromString("NOT_FINITE");
  private static final int KEPT = 16;
  private static final LinkedHashMap SENT = new LinkedHashMap(16, 0.75f, true);
  private final String key;
  private final String[] names;
  private final Broadcast content;
  private transient Model loaded;
  private transient Model.Row row;
  private transient ArrayTexts given;
  private transient ScoreEntries entries;

  ModelScores(String text) {
    super(text);
    String[] parts = text.split("/");
    key = part(parts[0]);
    content = sent(key, part(parts[1]));
    names = new String[] {part(parts[2]), part(parts[3]), part(parts[4])};
  }

  static String part(String text) {
    return java.net.URLDecoder.decode(text, java.nio.charset.StandardCharsets.UTF_8);
  }

  /** The model's content, sent out once for each application and model, and forgotten when newer ones came. */
  private static synchronized Broadcast sent(String key, String file) {
    SparkContext context = SparkContext.getOrCreate();
    String id = context.applicationId() + "/" + key;
    Broadcast found = (Broadcast) SENT.get(id);
    if (found == null) {
      try {
        found = context.broadcast(Files.readAllBytes(Paths.get(file, new String[0])), ClassTag$.MODULE$.apply(byte[].class));
      } catch (IOException error) {
        throw new IllegalStateException("the compiled model is gone: " + file);
      }
      SENT.put(id, found);
      if (SENT.size() > KEPT) SENT.remove(SENT.keySet().iterator().next());
    }
    return found;
  }

  public String name() {
    return "scores";
  }

  public boolean isDeterministic() {
    // so that Spark does not copy the call into every filter that reads a score
    return false;
  }

  public DataType resultType() {
    return ScoreEntries.TYPE;
  }

  public InternalRow invoke(boolean wanted, ArrayData numbers, ArrayData texts) {
    if (!wanted) return null;
    if (row == null) load();
    fill(row.places, numbers);
    given.set(texts);
    if (!loaded.run(row, given)) return entries.other(null, null, MODEL, VALUE);
    double score = loaded.link.score(row.margins, row.label);
    if (!(Math.abs(score) <= Double.MAX_VALUE)) return entries.other(null, null, NOT_FINITE, null);
    return entries.scored(score, row.label[0]);
  }

  private static void fill(double[] places, ArrayData numbers) {
    int n = numbers.numElements();
    if (numbers instanceof UnsafeArrayData) {
      UnsafeArrayData array = (UnsafeArrayData) numbers;
      long first = array.getBaseOffset() + UnsafeArrayData.calculateHeaderPortionInBytes(n);
      Platform.copyMemory(array.getBaseObject(), first, places, Platform.DOUBLE_ARRAY_OFFSET, 8L * n);
    } else {
      for (int i = 0; i < n; i++) places[i] = numbers.getDouble(i);
    }
  }

  private void load() {
    loaded = ModelCache.get(key, content);
    byte[][] labels = loaded.link.labels;
    UTF8String[] texts = new UTF8String[labels.length];
    for (int i = 0; i < texts.length; i++) texts[i] = UTF8String.fromBytes(labels[i]);
    entries = new ScoreEntries(names, texts);
    given = new ArrayTexts();
    row = new Model.Row(loaded);
  }
}
