package spark_scoring.jvm;

import java.math.BigDecimal;
import java.math.BigInteger;
import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.Decimal;
import org.apache.spark.sql.types.DecimalType;

/** What one window holds of one measure. */
final class Seen {
  private final Held held;
  private final int[] rows, runs;
  private final int count;
  private long[] total;
  private boolean summed;
  private double sum;

  Seen(Held held, int[] rows) {
    this.held = held;
    this.rows = rows;
    this.runs = rows.length == 0 ? rows : Runs.mapped(rows, held.slot(Measure.AT));
    int count = 0;
    for (int i = 0; i < runs.length; i += 2) count += runs[i + 1] - runs[i];
    this.count = count;
  }

  boolean isOf(int[] rows) {
    return this.rows == rows;
  }

  ArrayData values() {
    return held.slot(Measure.VALUE);
  }

  long count() {
    return count;
  }

  int first() {
    return runs[0];
  }

  int last() {
    return runs[runs.length - 1] - 1;
  }

  int least(boolean floats) {
    int least = best(Measure.LOW, false);
    // 0.0 is the least where it ties with -0.0, which stands before it in the order
    return floats && held.slot(Measure.ORDER).getLong(least) == Items.MINUS_ZERO ? plusZero(least) : least;
  }

  int greatest() {
    return best(Measure.HIGH, true);
  }

  private int best(int slot, boolean isGreatest) {
    ArrayData keys = held.slot(Measure.ORDER), within = held.slot(slot), across = held.slot(slot + 1);
    int best = runs[0];
    for (int i = 0; i < runs.length; i += 2) {
      int other = Extremes.best(keys, within, across, runs[i], runs[i + 1], isGreatest);
      best = Extremes.better(keys, best, other, isGreatest);
    }
    return best;
  }

  private int plusZero(int otherwise) {
    ArrayData keys = held.slot(Measure.ORDER);
    for (int i = 0; i < runs.length; i += 2) {
      for (int place = runs[i]; place < runs[i + 1]; place++) if (keys.getLong(place) == Items.PLUS_ZERO) return place;
    }
    return otherwise;
  }

  long distinct() {
    if (count == 0) return 0;
    ArrayData before = held.slot(Measure.BEFORE);
    long distinct = 0;
    for (int i = 0; i < runs.length; i += 2) {
      for (int place = runs[i]; place < runs[i + 1]; place++) {
        int earlier = before.getInt(place);
        while (earlier >= runs[0] && runs.length > 2 && !Runs.hold(runs, earlier)) earlier = before.getInt(earlier);
        if (earlier < runs[0]) distinct++;
      }
    }
    return distinct;
  }

  float floatSum() {
    return hasOdd() ? (float) oddSum() : Exact.toFloat(total(), scale(Measure.SUM));
  }

  boolean isLong() {
    return Exact.isLong(total());
  }

  long longSum() {
    return total()[0];
  }

  /** null if it has too many digits. */
  Decimal decimalSum(DecimalType type) {
    BigInteger unscaled = Exact.integer(total());
    if (new BigDecimal(unscaled).precision() > 38) return null;
    return Decimal.apply(new BigDecimal(unscaled, type.scale()), 38, type.scale());
  }

  double mean(DataType type) {
    boolean decimal = type instanceof DecimalType;
    return (decimal ? new BigDecimal(Exact.integer(total()), ((DecimalType) type).scale()).doubleValue() : doubleSum()) / count;
  }

  /** Of two doubles and floats or more: their squared deviations from the mean, over count - 1. */
  double stddev(double mean) {
    if (hasOdd() || Double.isInfinite(mean)) return Double.NaN;
    long[] squares = total(Measure.SQUARE);
    int scale = scale(Measure.SUM), squaresScale = scale(Measure.SQUARE);
    double deviations = Exact.squaredDeviations(total(), scale, squares, squaresScale, count, mean);
    return Math.sqrt(deviations / (count - 1));
  }

  double doubleSum() {
    if (!summed) sum = hasOdd() ? oddSum() : Exact.toDouble(total(), scale(Measure.SUM));
    summed = true;
    return sum;
  }

  private int scale(int slot) {
    return (int) held.slot(slot).getLong(0);
  }

  private long[] total() {
    if (total == null) total = total(Measure.SUM);
    return total;
  }

  private long[] total(int slot) {
    return Exact.between(held.slot(slot), held.places(), runs);
  }

  private boolean hasOdd() {
    ArrayData odd = held.slot(Measure.ODD);
    if (odd == null) return false;
    for (int i = 0; i < runs.length; i += 2) {
      int place = Search.below(odd, 4L * runs[i]);
      if (place < odd.numElements() && odd.getLong(place) < 4L * runs[i + 1]) return true;
    }
    return false;
  }

  /** NaN, unless all that is not finite is one infinity. */
  private double oddSum() {
    ArrayData odd = held.slot(Measure.ODD);
    double sum = 0.0;
    for (int i = 0; i < runs.length; i += 2) {
      for (int j = Search.below(odd, 4L * runs[i]); j < Search.below(odd, 4L * runs[i + 1]); j++) {
        int kind = (int) (odd.getLong(j) & 3);
        sum += kind == 0 ? Double.NaN : kind == 1 ? Double.POSITIVE_INFINITY : Double.NEGATIVE_INFINITY;
      }
    }
    return sum;
  }
}
