package spark_scoring.jvm;

import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.catalyst.expressions.Alias;
import org.apache.spark.sql.catalyst.expressions.Attribute;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.catalyst.plans.logical.Project;
import scala.Function1;
import scala.Option;
import scala.collection.immutable.Nil$;
import scala.collection.immutable.Seq;
import scala.collection.mutable.ListBuffer;
import scala.runtime.AbstractPartialFunction;

/** Puts other rows in the place of those that a frame was planned over. */
public final class OtherRows extends AbstractPartialFunction {
  private final LogicalPlan rows, others;
  private int places = 0;

  private OtherRows(LogicalPlan rows, LogicalPlan others) {
    this.rows = rows;
    this.others = others;
  }

  /** The frame over the other rows; null unless the rows are read in its plan exactly once. */
  public static Dataset replaced(Dataset frame, Dataset rows, Dataset others) {
    LogicalPlan before = rows.queryExecution().analyzed(), after = others.queryExecution().analyzed();
    LogicalPlan planned = frame.queryExecution().analyzed();
    if (!rows.schema().equals(others.schema()) || reads(planned, before) != 1) return null;
    OtherRows rule = new OtherRows(before, named(after, before.output()));
    LogicalPlan plan = (LogicalPlan) planned.transformUp(rule);
    if (rule.places != 1) return null;
    return org.apache.spark.sql.classic.Dataset$.MODULE$.ofRows(
        (org.apache.spark.sql.classic.SparkSession) others.sparkSession(), plan);
  }

  /** How often a plan reads the source of the rows; a second time Spark reads a copy of it, under other ids. */
  private static int reads(LogicalPlan plan, LogicalPlan rows) {
    Seq leaves = plan.collectLeaves(), sources = rows.collectLeaves();
    int found = 0;
    for (int i = 0; i < leaves.length(); i++) {
      for (int j = 0; j < sources.length(); j++) {
        if (((LogicalPlan) leaves.apply(i)).sameResult((LogicalPlan) sources.apply(j))) found++;
      }
    }
    return found;
  }

  /** The rows under the ids of these attributes. */
  private static LogicalPlan named(LogicalPlan rows, Seq attributes) {
    ListBuffer columns = new ListBuffer();
    for (int i = 0; i < attributes.length(); i++) {
      Attribute name = (Attribute) attributes.apply(i), column = (Attribute) rows.output().apply(i);
      columns.addOne(
          new Alias(column, name.name(), name.exprId(), name.qualifier(), Option.empty(), (Seq) Nil$.MODULE$));
    }
    return new Project(columns.toList(), rows);
  }

  public boolean isDefinedAt(Object plan) {
    return plan == rows;
  }

  public Object applyOrElse(Object plan, Function1 otherwise) {
    if (!isDefinedAt(plan)) return otherwise.apply(plan);
    places++;
    return others;
  }
}
