package spark_scoring.jvm;

import java.util.Arrays;
import java.util.List;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.sql.connector.catalog.functions.BoundFunction;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.DecimalType;
import org.apache.spark.sql.types.StructType;

/**
 * The aggregates of windows over one index of `WindowIndex`, written as `known or not/last;aggregate;.../last;...`.
 *
 * An aggregate is `function|measure`, of sum and mean with the argument's type, `|double`, and of stddev also with the
 * measure and the type whose mean it takes.
 */
public class WindowAggregates extends Bound {
  private static final List FUNCTIONS =
      Arrays.asList(new String[] {"count", "count_distinct", "first", "last", "min", "max", "sum", "mean", "stddev"});
  private static final int COUNT = 0, DISTINCT = 1, FIRST = 2, LAST = 3, MIN = 4, MAX = 5, SUM = 6, MEAN = 7;

  private final boolean known;
  private final long[] lasts;
  /** Of each window where its aggregates begin, and then the end. */
  private final int[] begins;
  private final int[] functions, measures, means;
  private final DataType[] types, meanTypes;
  private final int width;
  private DataType[] results;
  private int[] kinds;
  private transient NearSearch[] starts;
  private transient NearSearch ends;

  WindowAggregates(String text) {
    super(text);
    String[] windows = text.split("/");
    known = windows[0].equals("known");
    lasts = new long[windows.length - 1];
    begins = new int[windows.length];
    String[] all = new String[text.length()];
    for (int i = 0; i < lasts.length; i++) {
      String[] parts = windows[i + 1].split(";");
      lasts[i] = Long.parseLong(parts[0]);
      begins[i + 1] = begins[i] + parts.length - 1;
      System.arraycopy(parts, 1, all, begins[i], parts.length - 1);
    }
    functions = new int[begins[lasts.length]];
    measures = new int[functions.length];
    means = new int[functions.length];
    types = new DataType[functions.length];
    meanTypes = new DataType[functions.length];
    int width = 0;
    for (int i = 0; i < functions.length; i++) {
      String[] words = all[i].split("\\|");
      functions[i] = FUNCTIONS.indexOf(words[0]);
      measures[i] = Integer.parseInt(words[1]);
      types[i] = words.length > 2 ? DataType.fromDDL(words[2]) : null;
      means[i] = words.length > 3 ? Integer.parseInt(words[3]) : measures[i];
      meanTypes[i] = words.length > 3 ? DataType.fromDDL(words[4]) : types[i];
      width = Math.max(width, Math.max(measures[i], means[i]) + 1);
    }
    this.width = width;
  }

  public String name() {
    return "window_aggregates";
  }

  public BoundFunction bind(StructType given) {
    super.bind(given);
    results = new DataType[functions.length];
    kinds = new int[functions.length];
    for (int i = 0; i < functions.length; i++) {
      results[i] = resultOf(i);
      kinds[i] = Words.kind(results[i]);
    }
    return this;
  }

  public DataType resultType() {
    StructType type = new StructType();
    for (int i = 0; i < functions.length; i++) type = type.add("a" + i, results[i]);
    return type;
  }

  private DataType resultOf(int i) {
    if (functions[i] <= DISTINCT) return DataTypes.LongType;
    if (functions[i] <= MAX) {
      int field = WindowIndex.place(measures[i]) + Measure.VALUE;
      return ((ArrayType) ((StructType) inputs[0]).fields()[field].dataType()).elementType();
    }
    if (functions[i] >= MEAN || types[i].equals(DataTypes.DoubleType)) return DataTypes.DoubleType;
    if (types[i].equals(DataTypes.FloatType)) return DataTypes.FloatType;
    boolean decimal = types[i] instanceof DecimalType;
    return decimal ? DataTypes.createDecimalType(38, ((DecimalType) types[i]).scale()) : DataTypes.LongType;
  }

  public InternalRow invoke(InternalRow index, long at) {
    WindowRow row = new WindowRow(kinds);
    Held[] held = new Held[width];
    for (int i = 0; i < width && index != null; i++) held[i] = new Held(index, i);
    Seen[] seen = new Seen[width];
    ArrayData times = index == null ? null : index.getArray(0);
    int to = index == null ? 0 : searched(at, times);
    for (int window = 0; window < lasts.length; window++) {
      int from = to == 0 ? 0 : starts[window].below(times, at - lasts[window]);
      int[] rows = from == to ? new int[0] : known ? known(index, from, to, at) : new int[] {from, to};
      for (int i = begins[window]; i < begins[window + 1]; i++) {
        aggregate(row, i, in(seen, held, measures[i], rows), in(seen, held, means[i], rows));
      }
    }
    return row;
  }

  /** How many rows of the index lie before the instant. */
  private int searched(long at, ArrayData times) {
    if (ends == null) {
      ends = new NearSearch();
      starts = new NearSearch[lasts.length];
      for (int i = 0; i < starts.length; i++) starts[i] = new NearSearch();
    }
    return ends.below(times, at);
  }

  private static int[] known(InternalRow index, int from, int to, long at) {
    return Runs.known(index.getArray(1), index.getArray(2), from, to, at);
  }

  private static Seen in(Seen[] seen, Held[] held, int measure, int[] rows) {
    if (seen[measure] == null || !seen[measure].isOf(rows)) seen[measure] = new Seen(held[measure], rows);
    return seen[measure];
  }

  private void aggregate(WindowRow row, int i, Seen seen, Seen mean) {
    int function = functions[i];
    if (function == COUNT) row.setWord(i, seen.count());
    else if (function == DISTINCT) row.setWord(i, seen.distinct());
    else if (seen.count() == 0) return;
    else if (function == FIRST) value(row, i, seen, seen.first());
    else if (function == LAST) value(row, i, seen, seen.last());
    else if (function == MIN) value(row, i, seen, seen.least(Items.isFloat(results[i])));
    else if (function == MAX) value(row, i, seen, seen.greatest());
    else if (function == MEAN) row.setDouble(i, seen.mean(types[i]));
    else if (function > MEAN) stddev(row, i, seen, mean);
    else if (types[i] instanceof DecimalType) row.setOther(i, seen.decimalSum((DecimalType) types[i]));
    else if (kinds[i] == Words.DOUBLE) row.setDouble(i, seen.doubleSum());
    else if (kinds[i] == Words.FLOAT) row.setWord(i, Float.floatToRawIntBits(seen.floatSum()));
    else if (seen.isLong()) row.setWord(i, seen.longSum());
  }

  private void value(WindowRow row, int i, Seen seen, int place) {
    ArrayData values = seen.values();
    if (values.isNullAt(place)) return;
    if (kinds[i] == Words.NONE) row.setOther(i, values.get(place, results[i]));
    else row.setWord(i, Words.of(values, place, kinds[i]));
  }

  private void stddev(WindowRow row, int i, Seen seen, Seen mean) {
    if (seen.count() > 1) row.setDouble(i, seen.stddev(mean.mean(meanTypes[i])));
  }
}
