package spark_scoring.jvm;

import java.util.LinkedHashMap;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.catalyst.util.ArrayData;

/** A model that was read: steps, head and link. It never changes, tasks share it; each brings a `Row` of its own. */
final class Model {
  private static final long BUDGET_BYTES = 512L << 20;
  private static final LinkedHashMap LOADED = new LinkedHashMap(16, 0.75f, true);
  private final int places, codes;
  private final long bytes;
  private final ModelStep[] steps;
  private final ModelHead head;
  final ModelLink link;

  /** What one task needs to score row by row. */
  static final class Row {
    final double[] places, margins;
    final int[] codes, scratch, label = new int[1];

    Row(Model model) {
      places = new double[model.places];
      codes = new int[model.codes];
      margins = new double[model.link.outputs()];
      scratch = new int[model.head.scratch()];
    }
  }

  private Model(byte[] content) {
    ModelReader in = new ModelReader(content);
    bytes = content.length;
    places = in.number();
    codes = in.number();
    steps = new ModelStep[in.number()];
    for (int i = 0; i < steps.length; i++) steps[i] = ModelStep.read(in);
    head = ModelHead.read(in);
    link = new ModelLink(in);
  }

  /** The model of a key, read at most once while it is in use; those used longest ago are given up first. */
  static synchronized Model get(String key, Broadcast sent) {
    Model found = (Model) LOADED.get(key);
    if (found == null) {
      found = new Model((byte[]) sent.value());
      makeRoom(found.bytes);
      LOADED.put(key, found);
    }
    return found;
  }

  private static void makeRoom(long wanted) {
    long used = wanted;
    Object[] all = LOADED.values().toArray();
    for (int i = 0; i < all.length; i++) used += ((Model) all[i]).bytes;
    Object[] keys = LOADED.keySet().toArray();
    for (int i = 0; i < keys.length && used > BUDGET_BYTES; i++) used -= ((Model) LOADED.remove(keys[i])).bytes;
  }

  /** Whether the row could be scored; then its margins stand in `row`. */
  boolean run(Row row, ArrayData numbers, ArrayData texts) {
    int n = numbers.numElements();
    for (int i = 0; i < n; i++) row.places[i] = numbers.getDouble(i);
    for (int i = 0; i < steps.length; i++) if (!steps[i].run(row.places, row.codes, texts)) return false;
    head.margins(row.places, row.codes, row.scratch, row.margins);
    return true;
  }
}
