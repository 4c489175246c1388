package spark_scoring.jvm;

import java.util.Arrays;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.sql.catalyst.util.GenericArrayData;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;

/** Of structs that hold an item in one field each, the items in the field whose number is the text. */
public class Side extends Bound {
  private final int field;

  Side(String text) {
    super(text);
    field = Integer.parseInt(text);
  }

  public String name() {
    return "side";
  }

  public DataType resultType() {
    return DataTypes.createArrayType(items(0).fields()[field].dataType(), false);
  }

  public ArrayData invoke(ArrayData all) {
    int sides = items(0).length(), width = ((StructType) items(0).fields()[field].dataType()).length(), n = 0;
    InternalRow[] found = new InternalRow[all.numElements()];
    for (int i = 0; i < found.length; i++) {
      InternalRow one = all.getStruct(i, sides);
      if (!one.isNullAt(field)) found[n++] = one.getStruct(field, width);
    }
    return new GenericArrayData(Arrays.copyOf(found, n));
  }
}
