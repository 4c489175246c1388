package spark_scoring.jvm;

import java.util.Arrays;
import java.util.List;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;
import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.DecimalType;
import org.apache.spark.sql.types.StructType;

/**
 * The aggregates of one window over an index of `WindowIndex`, written as `last;known or not;aggregate;...`.
 *
 * An aggregate is `function,measure,argument's type`, and for stddev also the measure and the type whose mean it
 * takes. min, max, first and last give the place of their value in the measure, -1 for none.
 */
public class WindowAggregates extends Bound {
  private static final List FUNCTIONS =
      Arrays.asList(new String[] {"count", "count_distinct", "first", "last", "min", "max", "sum", "mean", "stddev"});
  private static final int COUNT = 0, DISTINCT = 1, FIRST = 2, LAST = 3, MIN = 4, MAX = 5, SUM = 6, MEAN = 7;

  private final long last;
  private final boolean known;
  private final int[] functions, measures, means;
  private final DataType[] types, meanTypes;
  private final int width;
  private transient NearSearch starts, ends;

  WindowAggregates(String text) {
    super(text);
    String[] parts = text.split(";");
    last = Long.parseLong(parts[0]);
    known = parts[1].equals("known");
    functions = new int[parts.length - 2];
    measures = new int[functions.length];
    means = new int[functions.length];
    types = new DataType[functions.length];
    meanTypes = new DataType[functions.length];
    int width = 0;
    for (int i = 0; i < functions.length; i++) {
      String[] words = parts[i + 2].split("\\|");
      functions[i] = FUNCTIONS.indexOf(words[0]);
      measures[i] = Integer.parseInt(words[1]);
      types[i] = DataType.fromDDL(words[2]);
      means[i] = words.length > 3 ? Integer.parseInt(words[3]) : measures[i];
      meanTypes[i] = words.length > 3 ? DataType.fromDDL(words[4]) : types[i];
      width = Math.max(width, Math.max(measures[i], means[i]) + 1);
    }
    this.width = width;
  }

  public String name() {
    return "window_aggregates";
  }

  public DataType resultType() {
    StructType type = new StructType();
    for (int i = 0; i < functions.length; i++) type = type.add("a" + i, resultType(i));
    return type;
  }

  private DataType resultType(int i) {
    if (functions[i] <= DISTINCT) return DataTypes.LongType;
    if (functions[i] <= MAX) return DataTypes.IntegerType;
    if (functions[i] >= MEAN || types[i].equals(DataTypes.DoubleType)) return DataTypes.DoubleType;
    if (types[i].equals(DataTypes.FloatType)) return DataTypes.FloatType;
    boolean decimal = types[i] instanceof DecimalType;
    return decimal ? DataTypes.createDecimalType(38, ((DecimalType) types[i]).scale()) : DataTypes.LongType;
  }

  public InternalRow invoke(InternalRow index, long at) {
    int[] runs = index == null ? new int[0] : runs(index, at);
    Seen[] seen = new Seen[width];
    Object[] result = new Object[functions.length];
    for (int i = 0; i < result.length; i++) {
      if (seen[measures[i]] == null) seen[measures[i]] = new Seen(index, measures[i], runs);
      if (seen[means[i]] == null) seen[means[i]] = new Seen(index, means[i], runs);
      result[i] = result(i, seen[measures[i]], seen[means[i]]);
    }
    return new GenericInternalRow(result);
  }

  /** The stretches of rows in the window: one, unless some rows are not known yet. */
  private int[] runs(InternalRow index, long at) {
    if (ends == null) {
      starts = new NearSearch();
      ends = new NearSearch();
    }
    ArrayData times = index.getArray(0);
    int from = starts.below(times, at - last), to = ends.below(times, at);
    if (from == to) return new int[0];
    return known ? Runs.known(index.getArray(1), index.getArray(2), from, to, at) : new int[] {from, to};
  }

  private Object result(int i, Seen seen, Seen mean) {
    switch (functions[i]) {
      case COUNT: return Long.valueOf(seen.count());
      case DISTINCT: return Long.valueOf(seen.distinct());
      case FIRST: return Integer.valueOf(seen.first());
      case LAST: return Integer.valueOf(seen.last());
      case MIN: return Integer.valueOf(seen.count() == 0 ? -1 : seen.least(Items.isFloat(types[i])));
      case MAX: return Integer.valueOf(seen.count() == 0 ? -1 : seen.greatest());
      case SUM: return seen.sum(types[i]);
      case MEAN: return seen.mean(types[i]);
      default: return seen.count() < 2 ? null : seen.stddev(mean.mean(meanTypes[i]).doubleValue());
    }
  }
}
