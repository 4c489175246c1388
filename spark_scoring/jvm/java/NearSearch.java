package spark_scoring.jvm;

import org.apache.spark.sql.catalyst.expressions.UnsafeArrayData;
import org.apache.spark.sql.catalyst.util.ArrayData;

/**
 * `Search` that first looks where it ended in the same array the last time: rows mostly come in the order of time.
 *
 * What it remembers is a guess. A wrong one, also one of another array, costs a few looks and changes no answer.
 */
final class NearSearch {
  private static final int ARRAYS = 256, STEPS = 4, SHORT = 32;
  private final int[] ended = new int[ARRAYS];

  /** How many elements are less than the value. */
  int below(ArrayData ascending, long value) {
    int n = ascending.numElements();
    if (n < SHORT || !(ascending instanceof UnsafeArrayData)) return Search.below(ascending, value);
    int slot = slot((UnsafeArrayData) ascending), place = near(ascending, n, value, ended[slot]);
    if (place < 0) place = Search.below(ascending, value);
    ended[slot] = place;
    return place;
  }

  /** The place, if it is a few steps from the guess at most; else -1. */
  private static int near(ArrayData ascending, int n, long value, int guess) {
    int place = Math.min(guess, n);
    for (int step = 0; step <= STEPS; step++) {
      if (place > 0 && ascending.getLong(place - 1) >= value) place--;
      else if (place == n || ascending.getLong(place) >= value) return place;
      else place++;
    }
    return -1;
  }

  /** Arrays of one broadcast share an object, kept rows have one each. */
  private static int slot(UnsafeArrayData array) {
    long mixed = (System.identityHashCode(array.getBaseObject()) + array.getBaseOffset()) * 0x9E3779B97F4A7C15L;
    return (int) (mixed >>> 56);
  }
}
