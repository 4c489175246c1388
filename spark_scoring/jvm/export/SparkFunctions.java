package spark_scoring.jvm;

import org.apache.spark.sql.connector.catalog.FunctionCatalog;
import org.apache.spark.sql.connector.catalog.Identifier;
import org.apache.spark.sql.connector.catalog.functions.UnboundFunction;
import org.apache.spark.sql.util.CaseInsensitiveStringMap;

/** A catalog for Spark SQL with two functions of the model's columns: `score` and `label`. */
public class SparkFunctions implements FunctionCatalog {
  private static final String SCORE = "score", LABEL = "label";
  private String name;

  public void initialize(String name, CaseInsensitiveStringMap options) {
    this.name = name;
  }

  public String name() {
    return name;
  }

  public Identifier[] listFunctions(String[] namespace) {
    return new Identifier[0];
  }

  public UnboundFunction loadFunction(Identifier identifier) {
    boolean label = identifier.name().equalsIgnoreCase(LABEL);
    if (!label && !identifier.name().equalsIgnoreCase(SCORE)) {
      throw new UnsupportedOperationException("no function " + identifier.name() + ": there are score and label");
    }
    return new SparkFunction(label);
  }
}
