package spark_scoring.jvm;

import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.util.ArrayData;

/** The arrays that an index holds of one measure, each fetched once. */
final class Held {
  private final ArrayData[] slots = new ArrayData[Measure.SLOTS];
  private final int rows;

  Held(InternalRow index, int measure) {
    int base = WindowIndex.place(measure);
    for (int i = 0; i < slots.length; i++) slots[i] = index.isNullAt(base + i) ? null : index.getArray(base + i);
    rows = index.getArray(0).numElements();
  }

  /** null where the index has none. */
  ArrayData slot(int slot) {
    return slots[slot];
  }

  /** How many values the measure has in the whole index. */
  int places() {
    ArrayData at = slots[Measure.AT];
    return at == null ? rows : at.getInt(at.numElements() - 1);
  }
}
