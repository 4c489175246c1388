package spark_scoring.jvm;

import org.apache.spark.sql.catalyst.util.ArrayData;

/** Where the greatest long of blocks of 32 and of 1,024 elements stands. */
final class Blocks {
  private static final int SMALL = 32, LARGE = 1024;

  private Blocks() {}

  /** The place of the greatest element of each whole block, the small blocks first. */
  static int[] greatest(long[] keys) {
    int small = keys.length / SMALL, large = keys.length / LARGE;
    int[] greatest = new int[small + large];
    for (int i = 0; i < small; i++) {
      greatest[i] = i * SMALL;
      for (int j = i * SMALL; j < (i + 1) * SMALL; j++) if (keys[j] > keys[greatest[i]]) greatest[i] = j;
    }
    for (int i = 0; i < large; i++) {
      greatest[small + i] = greatest[i * (LARGE / SMALL)];
      for (int j = i * (LARGE / SMALL); j < (i + 1) * (LARGE / SMALL); j++) {
        if (keys[greatest[j]] > keys[greatest[small + i]]) greatest[small + i] = greatest[j];
      }
    }
    return greatest;
  }

  /** The length of the widest block that begins at the place and ends by `to`; 1 for the element alone. */
  static int length(int place, int to) {
    if ((place & LARGE - 1) == 0 && place + LARGE <= to) return LARGE;
    return (place & SMALL - 1) == 0 && place + SMALL <= to ? SMALL : 1;
  }

  /** The place of the greatest element of a block. */
  static int at(ArrayData keys, ArrayData blocks, int place, int length) {
    if (length == 1) return place;
    return blocks.getInt(length == SMALL ? place / SMALL : keys.numElements() / SMALL + place / LARGE);
  }
}
