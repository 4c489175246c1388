package spark_scoring.jvm;

import org.apache.spark.sql.catalyst.util.ArrayData;

/** The greatest or least long of a range of an array, with what is known of blocks of 32 and of 1,024 elements. */
final class Blocks {
  private static final int SMALL = 32, LARGE = 1024;

  private Blocks() {}

  /** The place of the best element of each whole block, the small blocks first. */
  static int[] best(long[] keys, boolean greatest) {
    int small = keys.length / SMALL, large = keys.length / LARGE;
    int[] best = new int[small + large];
    for (int i = 0; i < small; i++) {
      best[i] = i * SMALL;
      for (int j = i * SMALL; j < (i + 1) * SMALL; j++) if (better(keys[j], keys[best[i]], greatest)) best[i] = j;
    }
    for (int i = 0; i < large; i++) {
      best[small + i] = best[i * (LARGE / SMALL)];
      for (int j = i * (LARGE / SMALL); j < (i + 1) * (LARGE / SMALL); j++) {
        if (better(keys[best[j]], keys[best[small + i]], greatest)) best[small + i] = best[j];
      }
    }
    return best;
  }

  /** The length of the widest block that begins at the place and ends by `to`; 1 for the element alone. */
  static int length(int place, int to) {
    if ((place & LARGE - 1) == 0 && place + LARGE <= to) return LARGE;
    return (place & SMALL - 1) == 0 && place + SMALL <= to ? SMALL : 1;
  }

  /** The place of the best element of a block. */
  static int at(ArrayData keys, ArrayData blocks, int place, int length) {
    if (length == 1) return place;
    return blocks.getInt(length == SMALL ? place / SMALL : keys.numElements() / SMALL + place / LARGE);
  }

  /** The place of the best of keys[from..to), which is not empty. */
  static int best(ArrayData keys, ArrayData blocks, int from, int to, boolean greatest) {
    int best = from;
    long found = keys.getLong(from);
    for (int i = from, length; i < to; i += length) {
      length = length(i, to);
      int at = at(keys, blocks, i, length);
      long key = keys.getLong(at);
      if (better(key, found, greatest)) {
        best = at;
        found = key;
      }
    }
    return best;
  }

  static boolean better(long key, long than, boolean greatest) {
    return greatest ? key > than : key < than;
  }
}
