package spark_scoring.jvm;

import com.github.luben.zstd.ZstdInputStreamNoFinalizer;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.StructType;

/** The struct that `PackRow` made bytes of; null for bytes of anything else. The text is its schema, as JSON for URLs. */
public class UnpackRow extends Bound {
  // what zstd begins with; a row that is not compressed begins with 0 or 1
  private static final byte COMPRESSED = 0x28;
  private final StructType schema;

  UnpackRow(String text) {
    super(text);
    schema = (StructType) DataType.fromJson(java.net.URLDecoder.decode(text, java.nio.charset.StandardCharsets.UTF_8));
  }

  public String name() {
    return "unpack_row";
  }

  public boolean isDeterministic() {
    // so that Spark does not copy the call into every column that is taken
    return false;
  }

  public DataType resultType() {
    return schema;
  }

  public InternalRow invoke(byte[] bytes) {
    if (bytes == null) return null;
    try {
      ByteBuffer from = ByteBuffer.wrap(bytes.length > 0 && bytes[0] == COMPRESSED ? expanded(bytes) : bytes);
      InternalRow row = PackedRow.struct(from, schema);
      return from.hasRemaining() ? null : row;
    } catch (Exception damaged) {
      return null;
    }
  }

  private static byte[] expanded(byte[] bytes) throws IOException {
    ZstdInputStreamNoFinalizer from = new ZstdInputStreamNoFinalizer(new ByteArrayInputStream(bytes));
    try {
      return from.readAllBytes();
    } finally {
      from.close();
    }
  }
}
