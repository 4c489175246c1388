package spark_scoring.jvm;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;
import org.apache.spark.sql.catalyst.util.GenericArrayData;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.unsafe.types.UTF8String;

/**
 * A record's bytes as its declared columns, then why it is no JSON object of ours, then the columns whose value had
 * another JSON type. The text is `power/unknown/schema`: the power of ten of a time's unit or -1, whether unknown
 * fields are refused, and the schema as JSON, quoted for URLs.
 */
public class ParseJson extends Bound {
  private static final UTF8String UNKNOWN = UTF8String.fromString("*"), NULL = UTF8String.fromString("null value");
  private final StructType schema;
  private final JsonValues values;

  ParseJson(String text) {
    super(text);
    String[] parts = text.split("/");
    values = new JsonValues(Integer.parseInt(parts[0]), parts[1].equals("reject"));
    String json = java.net.URLDecoder.decode(parts[2], java.nio.charset.StandardCharsets.UTF_8);
    schema = (StructType) DataType.fromJson(json);
  }

  public String name() {
    return "parse_json";
  }

  public boolean isDeterministic() {
    // so that Spark does not copy the call into every filter that reads a column
    return false;
  }

  public DataType resultType() {
    return schema.add("__parse", DataTypes.StringType)
        .add("__bad", DataTypes.createArrayType(DataTypes.StringType, true));
  }

  public InternalRow invoke(byte[] record) {
    if (record == null) return refused(NULL);
    StructField[] fields = schema.fields();
    String place = "";
    try {
      LinkedHashMap given = JsonText.object(record);
      Object[] row = new Object[fields.length + 2];
      ArrayList bad = new ArrayList();
      for (int i = 0; i < fields.length; i++) {
        place = fields[i].name();
        row[i] = value(given, fields[i], bad);
      }
      if (values.refuse(given, schema)) bad.add(UNKNOWN);
      row[fields.length + 1] = bad.isEmpty() ? null : new GenericArrayData(bad.toArray());
      return new GenericInternalRow(row);
    } catch (JsonFault fault) {
      return refused(UTF8String.fromString(fault == JsonFault.RANGE ? "number out of range: " + place : fault.getMessage()));
    }
  }

  private Object value(LinkedHashMap given, StructField field, ArrayList bad) {
    try {
      return values.of(given.get(field.name()), field.dataType());
    } catch (JsonFault fault) {
      if (fault != JsonFault.TYPE) throw fault;
      bad.add(UTF8String.fromString(field.name()));
      return null;
    }
  }

  private InternalRow refused(UTF8String why) {
    Object[] row = new Object[schema.length() + 2];
    row[schema.length()] = why;
    return new GenericInternalRow(row);
  }
}
