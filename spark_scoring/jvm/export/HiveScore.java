package spark_scoring.jvm;

import org.apache.hadoop.hive.ql.exec.UDFArgumentException;
import org.apache.hadoop.hive.ql.metadata.HiveException;
import org.apache.hadoop.hive.ql.udf.generic.GenericUDF;
import org.apache.hadoop.hive.serde2.objectinspector.ObjectInspector;
import org.apache.hadoop.hive.serde2.objectinspector.ObjectInspectorUtils;
import org.apache.hadoop.hive.serde2.objectinspector.primitive.PrimitiveObjectInspectorFactory;

/** The score as a function of Hive, and of Spark SQL with Hive support; null for a row that cannot be scored. */
public class HiveScore extends GenericUDF {
  private transient ExportedModel model;
  private transient ObjectInspector[] inspectors;

  public ObjectInspector initialize(ObjectInspector[] given) throws UDFArgumentException {
    model = new ExportedModel();
    inspectors = given;
    if (given.length != model.inputs().length) {
      throw new UDFArgumentException("the model reads " + model.inputs().length + " columns, not " + given.length);
    }
    return PrimitiveObjectInspectorFactory.javaDoubleObjectInspector;
  }

  public Object evaluate(DeferredObject[] given) throws HiveException {
    Object[] row = new Object[given.length];
    for (int i = 0; i < row.length; i++) {
      Object plain = ObjectInspectorUtils.copyToStandardJavaObject(given[i].get(), inspectors[i]);
      boolean decimal = plain != null && plain.getClass().getSimpleName().equals("HiveDecimal");
      row[i] = decimal ? (Object) new java.math.BigDecimal(plain.toString()) : plain;
    }
    double score = model.score(row)[0];
    return score != score ? null : Double.valueOf(score);
  }

  public String getDisplayString(String[] children) {
    return "score(" + String.join(", ", children) + ")";
  }
}
