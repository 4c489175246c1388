package spark_scoring.jvm;

import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.connector.catalog.functions.BoundFunction;
import org.apache.spark.sql.connector.catalog.functions.ScalarFunction;
import org.apache.spark.sql.connector.catalog.functions.UnboundFunction;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.Decimal;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.unsafe.types.UTF8String;

/** Score or label of a row; null for one that cannot be scored. */
public class SparkFunction implements UnboundFunction, ScalarFunction {
  private final boolean label;
  private DataType[] inputs;
  private transient ExportedModel model;
  private transient String[] labels;

  SparkFunction(boolean label) {
    this.label = label;
  }

  public BoundFunction bind(StructType given) {
    int wanted = new ExportedModel().inputs().length;
    if (given.length() != wanted) {
      throw new UnsupportedOperationException("the model reads " + wanted + " columns, not " + given.length());
    }
    inputs = new DataType[given.length()];
    for (int i = 0; i < inputs.length; i++) inputs[i] = given.fields()[i].dataType();
    return this;
  }

  public DataType[] inputTypes() {
    return inputs;
  }

  public DataType resultType() {
    return label ? DataTypes.StringType : DataTypes.DoubleType;
  }

  public String name() {
    return label ? "label" : "score";
  }

  public String description() {
    return name();
  }

  public Object produceResult(InternalRow given) {
    if (model == null) {
      model = new ExportedModel();
      labels = model.labels();
    }
    Object[] row = new Object[inputs.length];
    for (int i = 0; i < row.length; i++) {
      Object value = given.isNullAt(i) ? null : given.get(i, inputs[i]);
      row[i] = value instanceof Decimal ? (Object) ((Decimal) value).toJavaBigDecimal() : value;
    }
    double[] found = model.score(row);
    if (!label) return found[0] != found[0] ? null : Double.valueOf(found[0]);
    return found[1] < 0 ? null : UTF8String.fromString(labels[(int) found[1]]);
  }
}
