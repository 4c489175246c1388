package spark_scoring.jvm;

import org.apache.spark.sql.catalyst.util.ArrayData;

/** Binary search in an ascending array. */
final class Search {
  private Search() {}

  /** How many elements are less than the value. */
  static int below(ArrayData ascending, long value) {
    int low = 0, high = ascending.numElements();
    while (low < high) {
      int middle = (low + high) >>> 1;
      if (ascending.getLong(middle) < value) low = middle + 1; else high = middle;
    }
    return low;
  }
}
