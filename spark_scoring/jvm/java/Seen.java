package spark_scoring.jvm;

import java.math.BigDecimal;
import java.math.BigInteger;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.Decimal;
import org.apache.spark.sql.types.DecimalType;

/** What one window holds of one measure. */
final class Seen {
  private final InternalRow index;
  private final int base;
  private final int[] runs;
  private final int count;
  private long[] total;

  Seen(InternalRow index, int measure, int[] rows) {
    this.index = index;
    this.base = WindowIndex.place(measure);
    this.runs = rows.length == 0 ? rows : Runs.mapped(rows, slot(Measure.AT));
    int count = 0;
    for (int i = 0; i < runs.length; i += 2) count += runs[i + 1] - runs[i];
    this.count = count;
  }

  private ArrayData slot(int slot) {
    return index.isNullAt(base + slot) ? null : index.getArray(base + slot);
  }

  long count() {
    return count;
  }

  int first() {
    return count == 0 ? -1 : runs[0];
  }

  int last() {
    return count == 0 ? -1 : runs[runs.length - 1] - 1;
  }

  int least(boolean floats) {
    int least = best(slot(Measure.LOW), false);
    // 0.0 is the least where it ties with -0.0, which stands before it in the order
    return floats && least >= 0 && slot(Measure.ORDER).getLong(least) == Items.MINUS_ZERO ? plusZero(least) : least;
  }

  int greatest() {
    return best(slot(Measure.HIGH), true);
  }

  private int best(ArrayData blocks, boolean greatest) {
    if (count == 0) return -1;
    ArrayData keys = slot(Measure.ORDER);
    int best = Blocks.best(keys, blocks, runs[0], runs[1], greatest);
    for (int i = 2; i < runs.length; i += 2) {
      int other = Blocks.best(keys, blocks, runs[i], runs[i + 1], greatest);
      if (Blocks.better(keys.getLong(other), keys.getLong(best), greatest)) best = other;
    }
    return best;
  }

  private int plusZero(int otherwise) {
    ArrayData keys = slot(Measure.ORDER);
    for (int i = 0; i < runs.length; i += 2) {
      for (int place = runs[i]; place < runs[i + 1]; place++) if (keys.getLong(place) == Items.PLUS_ZERO) return place;
    }
    return otherwise;
  }

  long distinct() {
    if (count == 0) return 0;
    ArrayData before = slot(Measure.BEFORE);
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

  Object sum(DataType type) {
    if (count == 0) return null;
    if (type instanceof DecimalType) return decimal((DecimalType) type);
    if (type.equals(DataTypes.DoubleType)) return Double.valueOf(doubleSum());
    if (type.equals(DataTypes.FloatType)) {
      return Float.valueOf(hasOdd() ? (float) oddSum() : Exact.toFloat(total(), scale(Measure.SUM)));
    }
    return Exact.isLong(total()) ? Long.valueOf(total()[0]) : null;
  }

  private Decimal decimal(DecimalType type) {
    BigInteger unscaled = Exact.integer(total());
    if (new BigDecimal(unscaled).precision() > 38) return null;
    return Decimal.apply(new BigDecimal(unscaled, type.scale()), 38, type.scale());
  }

  Double mean(DataType type) {
    if (count == 0) return null;
    boolean decimal = type instanceof DecimalType;
    double sum = decimal ? new BigDecimal(Exact.integer(total()), ((DecimalType) type).scale()).doubleValue() : doubleSum();
    return Double.valueOf(sum / count);
  }

  /** Of doubles and floats: their squared deviations from the mean, over count - 1. */
  Double stddev(double mean) {
    if (count < 2) return null;
    if (hasOdd() || Double.isInfinite(mean)) return Double.valueOf(Double.NaN);
    long[] squares = total(Measure.SQUARE);
    int scale = scale(Measure.SUM), squaresScale = scale(Measure.SQUARE);
    double deviations = Exact.squaredDeviations(total(), scale, squares, squaresScale, count, mean);
    return Double.valueOf(Math.sqrt(deviations / (count - 1)));
  }

  private double doubleSum() {
    return hasOdd() ? oddSum() : Exact.toDouble(total(), scale(Measure.SUM));
  }

  private int scale(int slot) {
    return (int) slot(slot).getLong(0);
  }

  private long[] total() {
    if (total == null) total = total(Measure.SUM);
    return total;
  }

  private long[] total(int slot) {
    return Exact.between(slot(slot), places(), runs);
  }

  /** How many values the measure has in the whole index. */
  private int places() {
    ArrayData at = slot(Measure.AT);
    return at == null ? index.getArray(0).numElements() : at.getInt(at.numElements() - 1);
  }

  private boolean hasOdd() {
    ArrayData odd = slot(Measure.ODD);
    if (odd == null) return false;
    for (int i = 0; i < runs.length; i += 2) {
      int place = Search.below(odd, 4L * runs[i]);
      if (place < odd.numElements() && odd.getLong(place) < 4L * runs[i + 1]) return true;
    }
    return false;
  }

  /** NaN, unless all that is not finite is one infinity. */
  private double oddSum() {
    ArrayData odd = slot(Measure.ODD);
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
