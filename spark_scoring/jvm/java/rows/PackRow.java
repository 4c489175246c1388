package spark_scoring.jvm;

import com.github.luben.zstd.ZstdCompressCtx;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;

/**
 * A struct as bytes; `UnpackRow` gives it back to the bit. Many bytes are compressed: a large row may hold what came in
 * three times, and must not need more room on a topic than it had where it came from.
 */
public class PackRow extends Bound {
  private static final int MANY = 1 << 14;
  // how far back, as a power of two, a repetition is found: 128 MiB, the most that is read again without asking
  private static final int FAR = 27;

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
    return bytes.size() < MANY ? bytes.toByteArray() : compressed(bytes.toByteArray());
  }

  private static byte[] compressed(byte[] bytes) {
    ZstdCompressCtx context = new ZstdCompressCtx();
    try {
      context.setLong(FAR);
      return context.compress(bytes);
    } finally {
      context.close();
    }
  }
}
