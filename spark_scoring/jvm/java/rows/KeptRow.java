package spark_scoring.jvm;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.WeakHashMap;
import org.apache.spark.SparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.StructType;
import scala.reflect.ClassTag$;

/**
 * The one row with a key among rows that were sent out, null where there is none or a part of the key is null.
 *
 * The argument is a struct of the key's parts, which are the first columns of the rows; the text is what `send` gave.
 */
public class KeptRow extends Bound {
  private static final Map SENT = new HashMap();
  private static final Map BY_KEY = new WeakHashMap();
  private static long last = 0;
  private final Broadcast rows;
  private final StructType schema;
  private transient Map byKey;

  KeptRow(String text) {
    super(text);
    Object[] found;
    synchronized (SENT) {
      found = (Object[]) SENT.get(text);
    }
    if (found == null) throw new IllegalStateException("these rows were given up: " + text);
    rows = (Broadcast) found[0];
    schema = (StructType) found[1];
  }

  /** Runs the frame and sends its rows to whoever will ask for one; returns what they are called. */
  public static String send(Dataset frame) {
    InternalRow[] collected = frame.queryExecution().executedPlan().executeCollect();
    SparkContext context = frame.sparkSession().sparkContext();
    Broadcast rows = context.broadcast(collected, ClassTag$.MODULE$.apply(InternalRow[].class));
    synchronized (SENT) {
      String name = context.applicationId() + "/" + last++;
      SENT.put(name, new Object[] {rows, frame.schema()});
      return name;
    }
  }

  /** No plan that is still to be made will ask for these rows; one that runs can go on. */
  public static void giveUp(String name) {
    Object[] found;
    synchronized (SENT) {
      found = (Object[]) SENT.remove(name);
    }
    if (found != null) ((Broadcast) found[0]).unpersist(false);
  }

  public String name() {
    return "kept_row";
  }

  public boolean isDeterministic() {
    // so that Spark does not copy the call into every column that is taken
    return false;
  }

  public DataType resultType() {
    return schema;
  }

  public InternalRow invoke(InternalRow key) {
    if (byKey == null) byKey = byKey((InternalRow[]) rows.value(), ((StructType) inputs[0]).length(), schema);
    Object whole = whole(key, ((StructType) inputs[0]).length(), schema);
    return whole == null ? null : (InternalRow) byKey.get(whole);
  }

  /** Made once in each JVM, and as long as it holds the rows. */
  private static Map byKey(InternalRow[] rows, int parts, StructType schema) {
    synchronized (BY_KEY) {
      Map found = (Map) BY_KEY.get(rows);
      if (found == null) {
        found = new HashMap(rows.length * 2);
        for (int i = 0; i < rows.length; i++) {
          if (found.put(whole(rows[i], parts, schema), rows[i]) != null) throw new IllegalStateException("a key twice");
        }
        BY_KEY.put(rows, found);
      }
      return found;
    }
  }

  private static Object whole(InternalRow row, int parts, StructType schema) {
    if (parts == 1) return part(row, 0, schema);
    Object[] all = new Object[parts];
    for (int i = 0; i < parts; i++) {
      all[i] = part(row, i, schema);
      if (all[i] == null) return null;
    }
    return Arrays.asList(all);
  }

  /** What equals another exactly where Spark's `=` is true. */
  private static Object part(InternalRow row, int i, StructType schema) {
    if (row.isNullAt(i)) return null;
    Object value = row.get(i, schema.fields()[i].dataType());
    if (value instanceof byte[]) return ByteBuffer.wrap((byte[]) value);
    if (value instanceof Double && ((Double) value).doubleValue() == 0) return Double.valueOf(0.0);
    if (value instanceof Float && ((Float) value).floatValue() == 0) return Float.valueOf(0.0f);
    return value;
  }
}
