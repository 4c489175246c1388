package spark_scoring.jvm;

import java.util.Arrays;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;
import org.apache.spark.sql.catalyst.expressions.UnsafeArrayData;
import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;

/**
 * Indexes of `AsOfIndex` over one key as one, so that one search finds the answers of all of them at an instant.
 *
 * Argument: struct of indexes. Result: struct(instants, places, then of each index from, until, words, nulls, and one
 * array for each taken column). At each instant at which an answer begins or ends, places hold where that of each index
 * stands from then on, -1 for none; each `from` and `until` is then empty. If the answers change at so many instants that
 * this would take more memory, those are kept, and instants and places are null.
 *
 * What is taken of kinds of `Words` lies answer by answer in words, and its own arrays are null; nulls says which of the
 * words are, and is null if none is.
 */
public class AsOfIndexes extends Bound {
  /** How many fields come first, and of each index before its taken columns; where in these the words are. */
  static final int OWN = 2, EACH = 4, WORDS = 2;
  private static final int FROM = 0, UNTIL = 1, GIVEN = 2;

  AsOfIndexes(String text) {
    super(text);
  }

  public String name() {
    return "as_of_indexes";
  }

  public DataType resultType() {
    StructType type = new StructType().add("instants", DataTypes.createArrayType(DataTypes.LongType, false))
        .add("places", DataTypes.createArrayType(DataTypes.IntegerType, false));
    StructField[] indexes = ((StructType) inputs[0]).fields();
    DataType longs = DataTypes.createArrayType(DataTypes.LongType, false);
    for (int i = 0; i < indexes.length; i++) {
      StructField[] fields = ((StructType) indexes[i].dataType()).fields();
      type = type.add("from_of_" + i, longs).add("until_of_" + i, longs).add("words_of_" + i, longs);
      type = type.add("nulls_of_" + i, DataTypes.createArrayType(DataTypes.BooleanType, false));
      for (int j = GIVEN; j < fields.length; j++) type = type.add(fields[j].name() + "_of_" + i, fields[j].dataType());
    }
    return type;
  }

  public InternalRow invoke(InternalRow indexes) {
    StructField[] types = ((StructType) inputs[0]).fields();
    long[][] from = new long[types.length][], until = new long[types.length][];
    InternalRow[] apart = new InternalRow[types.length];
    int width = OWN;
    for (int i = 0; i < types.length; i++) {
      int fields = ((StructType) types[i].dataType()).length();
      apart[i] = indexes.getStruct(i, fields);
      from[i] = apart[i].getArray(FROM).toLongArray();
      until[i] = apart[i].getArray(UNTIL).toLongArray();
      width += EACH + fields - GIVEN;
    }
    long[] instants = instants(from, until);
    Object[] result = new Object[width];
    if (instants != null) {
      result[0] = UnsafeArrayData.fromPrimitiveArray(instants);
      result[1] = UnsafeArrayData.fromPrimitiveArray(places(instants, from, until));
    }
    ArrayData empty = UnsafeArrayData.fromPrimitiveArray(new long[0]);
    for (int i = 0, field = OWN; i < types.length; i++) {
      StructField[] fields = ((StructType) types[i].dataType()).fields();
      result[field + FROM] = instants == null ? apart[i].getArray(FROM) : empty;
      result[field + UNTIL] = instants == null ? apart[i].getArray(UNTIL) : empty;
      take(apart[i], fields, from[i].length, result, field);
      field += EACH + fields.length - GIVEN;
    }
    return new GenericInternalRow(result);
  }

  /** What an index takes at each of n answers, to the fields of the result that begin there. */
  private static void take(InternalRow index, StructField[] fields, int n, Object[] result, int to) {
    int width = 0, word = 0;
    int[] kinds = new int[fields.length];
    for (int j = GIVEN; j < fields.length; j++) {
      kinds[j] = Words.kind(((ArrayType) fields[j].dataType()).elementType());
      if (kinds[j] != Words.NONE) width++;
    }
    long[] words = new long[n * width];
    boolean[] nulls = new boolean[n * width];
    boolean any = false;
    for (int j = GIVEN; j < fields.length; j++) {
      ArrayData values = index.getArray(j);
      if (kinds[j] == Words.NONE) {
        result[to + EACH + j - GIVEN] = values;
        continue;
      }
      for (int i = 0, at = word++; i < n; i++, at += width) {
        nulls[at] = values.isNullAt(i);
        any |= nulls[at];
        if (!nulls[at]) words[at] = Words.of(values, i, kinds[j]);
      }
    }
    result[to + WORDS] = UnsafeArrayData.fromPrimitiveArray(words);
    if (any) result[to + WORDS + 1] = UnsafeArrayData.fromPrimitiveArray(nulls);
  }

  /** When an answer begins or ends, ascending and each once; null where those of each index take less memory. */
  private static long[] instants(long[][] from, long[][] until) {
    int answers = 0, n = 0;
    for (int i = 0; i < from.length; i++) answers += from[i].length;
    long[] all = new long[2 * answers];
    for (int i = 0; i < from.length; i++) {
      for (int j = 0; j < from[i].length; j++) {
        all[n++] = from[i][j];
        boolean holds = until[i][j] >= from[i][j] && until[i][j] < Long.MAX_VALUE;
        if (holds && (j + 1 == from[i].length || until[i][j] + 1 < from[i][j + 1])) all[n++] = until[i][j] + 1;
      }
    }
    Arrays.sort(all, 0, n);
    int distinct = 0;
    for (int i = 0; i < n; i++) if (i == 0 || all[i] != all[i - 1]) all[distinct++] = all[i];
    long together = (long) distinct * (8 + 4 * from.length), apart = (long) answers * (8 + 8);
    return together > apart ? null : Arrays.copyOf(all, distinct);
  }

  private static int[] places(long[] instants, long[][] from, long[][] until) {
    int[] places = new int[instants.length * from.length];
    for (int i = 0; i < from.length; i++) {
      int last = -1;
      for (int n = 0; n < instants.length; n++) {
        while (last + 1 < from[i].length && from[i][last + 1] <= instants[n]) last++;
        places[n * from.length + i] = last >= 0 && until[i][last] >= instants[n] ? last : -1;
      }
    }
    return places;
  }
}
