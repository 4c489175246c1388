package spark_scoring.jvm;

import java.util.Arrays;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;
import org.apache.spark.sql.catalyst.expressions.UnsafeArrayData;
import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;

/**
 * Indexes of `AsOfIndex` over one key as one, so that one search finds the answers of all of them at an instant.
 *
 * Argument: struct of indexes. Result: struct(instants, places, then the fields of each index). At each instant at which
 * an answer begins or ends, places hold where that of each index stands from then on, -1 for none; each `from` and
 * `until` is then empty. If the answers change at so many instants that this would take more memory, those are kept, and
 * instants and places are null.
 */
public class AsOfIndexes extends Bound {
  static final int OWN = 2;
  private static final int FROM = 0, UNTIL = 1;

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
    for (int i = 0; i < indexes.length; i++) {
      StructField[] fields = ((StructType) indexes[i].dataType()).fields();
      for (int j = 0; j < fields.length; j++) type = type.add(fields[j].name() + "_of_" + i, fields[j].dataType());
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
      width += fields;
    }
    long[] instants = instants(from, until);
    Object[] result = new Object[width];
    if (instants != null) {
      result[0] = UnsafeArrayData.fromPrimitiveArray(instants);
      result[1] = UnsafeArrayData.fromPrimitiveArray(places(instants, from, until));
    }
    ArrayData empty = UnsafeArrayData.fromPrimitiveArray(new long[0]);
    for (int i = 0, field = OWN; i < types.length; i++) {
      int fields = ((StructType) types[i].dataType()).length();
      for (int j = 0; j < fields; j++) result[field++] = instants != null && j <= UNTIL ? empty : apart[i].getArray(j);
    }
    return new GenericInternalRow(result);
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
