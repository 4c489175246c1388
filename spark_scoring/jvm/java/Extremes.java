package spark_scoring.jvm;

import org.apache.spark.sql.catalyst.util.ArrayData;

/** The greatest or least long of any stretch of an array in a few looks: blocks of 16, and what is best in and over them. */
final class Extremes {
  private static final int BLOCK = 16;

  private Extremes() {}

  /** Of each element two distances in its block: back to the best so far, and on to the best from there. */
  static byte[] within(long[] keys, boolean greatest) {
    byte[] within = new byte[2 * keys.length];
    for (int i = 1; i < keys.length; i++) {
      int best = i - 1 - within[2 * i - 2];
      if (i % BLOCK != 0 && !better(keys[i], keys[best], greatest)) within[2 * i] = (byte) (i - best);
    }
    for (int i = keys.length - 2; i >= 0; i--) {
      int best = i + 1 + within[2 * i + 3];
      if (i % BLOCK != BLOCK - 1 && better(keys[best], keys[i], greatest)) within[2 * i + 1] = (byte) (best - i);
    }
    return within;
  }

  /** The place of the best of each whole block, then of the 2, 4, 8... blocks that begin with it. */
  static int[] across(long[] keys, boolean greatest) {
    int blocks = keys.length / BLOCK, levels = 32 - Integer.numberOfLeadingZeros(blocks);
    int[] across = new int[levels * blocks];
    for (int i = 0; i < blocks; i++) {
      across[i] = i * BLOCK;
      for (int j = i * BLOCK; j < (i + 1) * BLOCK; j++) if (better(keys[j], keys[across[i]], greatest)) across[i] = j;
    }
    for (int level = 1; level < levels; level++) {
      int half = 1 << level - 1;
      for (int i = 0, to = level * blocks; i + 2 * half <= blocks; i++) {
        int left = across[to - blocks + i], right = across[to - blocks + i + half];
        across[to + i] = better(keys[right], keys[left], greatest) ? right : left;
      }
    }
    return across;
  }

  /** The place of the best of keys[from..to), which is not empty. */
  static int best(ArrayData keys, ArrayData within, ArrayData across, int from, int to, boolean greatest) {
    int first = from / BLOCK, last = (to - 1) / BLOCK, between = last - first - 1;
    if (first == last) return scanned(keys, from, to, greatest);
    int best = better(keys, from + within.getByte(2 * from + 1), to - 1 - within.getByte(2 * to - 2), greatest);
    if (between == 0) return best;
    int level = 31 - Integer.numberOfLeadingZeros(between), at = level * (keys.numElements() / BLOCK);
    best = better(keys, best, across.getInt(at + first + 1), greatest);
    return better(keys, best, across.getInt(at + last - (1 << level)), greatest);
  }

  private static int scanned(ArrayData keys, int from, int to, boolean greatest) {
    int best = from;
    for (int i = from + 1; i < to; i++) best = better(keys, best, i, greatest);
    return best;
  }

  /** The better of two places. */
  static int better(ArrayData keys, int a, int b, boolean greatest) {
    return better(keys.getLong(b), keys.getLong(a), greatest) ? b : a;
  }

  private static boolean better(long key, long than, boolean greatest) {
    return greatest ? key > than : key < than;
  }
}
