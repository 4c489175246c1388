package spark_scoring.jvm;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;

/** A struct as bytes; `UnpackRow` gives it back to the bit. */
public class PackRow extends Bound {
  PackRow(String text) {
    super(text);
  }

  public String name() {
    return "pack_row";
  }

  public DataType resultType() {
    return DataTypes.BinaryType;
  }

  public byte[] invoke(InternalRow row) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream(512);
    try {
      PackedRow.struct(new DataOutputStream(bytes), row, (StructType) inputs[0]);
    } catch (IOException error) {
      throw new IllegalStateException(error.getMessage());
    }
    return bytes.toByteArray();
  }
}
