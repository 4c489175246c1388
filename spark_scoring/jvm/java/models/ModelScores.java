package spark_scoring.jvm;

import java.io.IOException;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.LinkedHashMap;
import org.apache.spark.SparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.sql.catalyst.util.GenericArrayData;
import org.apache.spark.sql.types.DataType;
import scala.reflect.ClassTag$;

/**
 * The entries of `scores` by all models that were compiled.
 *
 * Arguments: whether the row is wanted (its entries are null otherwise), the numbers of all models as doubles, and
 * their texts. The text is `model,model…`, each of them `key/file/role/name/version/numbers/texts`, every part quoted
 * for URLs. The last two are the places of its inputs, `0.1.5`, or `*` where it takes all, as they stand.
 */
public class ModelScores extends Bound {
  private static final int KEPT = 16;
  private static final LinkedHashMap SENT = new LinkedHashMap(16, 0.75f, true);
  private final SentModel[] models;
  private transient ScoreArray array;

  ModelScores(String text) {
    super(text);
    String[] all = text.split(",");
    models = new SentModel[all.length];
    for (int i = 0; i < all.length; i++) models[i] = model(all[i].split("/", -1));
  }

  private static SentModel model(String[] parts) {
    for (int i = 0; i < parts.length; i++) parts[i] = part(parts[i]);
    String[] names = new String[] {parts[2], parts[3], parts[4]};
    return new SentModel(parts[0], sent(parts[0], parts[1]), names, places(parts[5]), places(parts[6]));
  }

  static String part(String text) {
    return URLDecoder.decode(text, StandardCharsets.UTF_8);
  }

  private static int[] places(String text) {
    if (text.equals("*")) return null;
    String[] parts = text.isEmpty() ? new String[0] : text.split("\\.");
    int[] places = new int[parts.length];
    for (int i = 0; i < places.length; i++) places[i] = Integer.parseInt(parts[i]);
    return places;
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
    return ScoreArray.TYPE;
  }

  public ArrayData invoke(boolean wanted, ArrayData numbers, ArrayData texts) {
    if (!wanted) return new GenericArrayData(new Object[models.length]);
    if (array == null) load();
    for (int i = 0; i < models.length; i++) models[i].run(numbers, texts, array, i);
    return array.written();
  }

  private void load() {
    ScoreEntries[] entries = new ScoreEntries[models.length];
    for (int i = 0; i < entries.length; i++) entries[i] = models[i].load();
    array = new ScoreArray(entries);
  }
}
