package spark_scoring.jvm;

import org.apache.spark.sql.connector.catalog.functions.BoundFunction;
import org.apache.spark.sql.connector.catalog.functions.ScalarFunction;
import org.apache.spark.sql.connector.catalog.functions.UnboundFunction;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.StructType;

/** A function that takes its arguments as they are; subclasses add the method `invoke` that Spark's code calls. */
public abstract class Bound implements UnboundFunction, ScalarFunction {
  protected final String text;
  protected DataType[] inputs;

  protected Bound(String text) {
    this.text = text;
  }

  public BoundFunction bind(StructType given) {
    inputs = new DataType[given.length()];
    for (int i = 0; i < inputs.length; i++) inputs[i] = given.fields()[i].dataType();
    return this;
  }

  public DataType[] inputTypes() {
    return inputs;
  }

  /** The fields of the structs in the array that is argument i. */
  protected StructType items(int i) {
    return (StructType) ((ArrayType) inputs[i]).elementType();
  }

  public String description() {
    return name();
  }

  public String toString() {
    return name();
  }
}
