package spark_scoring.jvm;

import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.util.ArrayData;

/** The arrays that an index holds of one measure, each fetched once. */
final class Held {
  private final InternalRow index;
  private final int base;
  private final ArrayData[] slots = new ArrayData[Measure.SLOTS];
  private final boolean[] fetched = new boolean[Measure.SLOTS];

  Held(InternalRow index, int measure) {
    this.index = index;
    this.base = WindowIndex.place(measure);
  }

  /** null where the index has none. */
  ArrayData slot(int slot) {
    if (!fetched[slot]) {
      fetched[slot] = true;
      slots[slot] = index.isNullAt(base + slot) ? null : index.getArray(base + slot);
    }
    return slots[slot];
  }

  /** How many values the measure has in the whole index. */
  int places() {
    ArrayData at = slot(Measure.AT);
    return at == null ? index.getArray(0).numElements() : at.getInt(at.numElements() - 1);
  }
}
