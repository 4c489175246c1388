package spark_scoring.jvm;

import java.util.Arrays;
import org.apache.spark.sql.catalyst.util.ArrayData;

/** Stretches of places, as pairs of first and end. */
final class Runs {
  private Runs() {}

  /** The stretches of [from, to) that are known at the instant. */
  static int[] known(ArrayData known, ArrayData latest, int from, int to, long at) {
    int[] runs = new int[4];
    int n = 0;
    for (int i = from, end; i < to; i = end) {
      end = i + Blocks.length(i, to);
      boolean in = end - i > 1 && known.getLong(Blocks.at(known, latest, i, end - i)) <= at;
      if (!in) {
        end = i + 1;
        in = known.getLong(i) <= at;
      }
      if (in && n > 0 && runs[n - 1] == i) {
        runs[n - 1] = end;
      } else if (in) {
        if (n == runs.length) runs = Arrays.copyOf(runs, 2 * n);
        runs[n++] = i;
        runs[n++] = end;
      }
    }
    return Arrays.copyOf(runs, n);
  }

  /** The same stretches counted in the places of a measure; `at` is null where those are the rows' own. */
  static int[] mapped(int[] runs, ArrayData at) {
    if (at == null) return runs;
    int[] mapped = new int[runs.length];
    int n = 0;
    for (int i = 0; i < runs.length; i += 2) {
      int from = at.getInt(runs[i]), to = at.getInt(runs[i + 1]);
      if (from < to) {
        mapped[n++] = from;
        mapped[n++] = to;
      }
    }
    return Arrays.copyOf(mapped, n);
  }

  static boolean hold(int[] runs, int place) {
    for (int i = 0; i < runs.length; i += 2) if (runs[i] <= place && place < runs[i + 1]) return true;
    return false;
  }
}
