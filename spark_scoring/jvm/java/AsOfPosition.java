package spark_scoring.jvm;

import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;

/** Where in an index of `AsOfIndex` the answer at an instant stands; -1 if there is none. */
public class AsOfPosition extends Bound {
  private transient NearSearch search;

  AsOfPosition(String text) {
    super(text);
  }

  public String name() {
    return "as_of_position";
  }

  public DataType resultType() {
    return DataTypes.IntegerType;
  }

  public int invoke(InternalRow index, long at) {
    if (index == null) return -1;
    if (search == null) search = new NearSearch();
    int position = search.below(index.getArray(0), at + 1) - 1;
    return position < 0 || index.getArray(1).getLong(position) < at ? -1 : position;
  }
}
