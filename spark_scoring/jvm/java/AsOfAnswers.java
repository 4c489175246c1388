package spark_scoring.jvm;

import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.sql.connector.catalog.functions.BoundFunction;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.StructType;

/**
 * What the as-of joins over an index of `AsOfIndexes` take at an instant, one after the other; null for no answer.
 *
 * The text is how many columns each join takes: `2,1`.
 */
public class AsOfAnswers extends Bound {
  /** Of each join the first of its fields in the index; where its taken columns begin, and then the end. */
  final int[] starts, begins;
  /** Of each taken column its join, and the field of the index that holds its values unless they are words. */
  final int[] joins, fields;
  /** Of each taken column the kind of its words; of each join how many of its columns are words. */
  int[] kinds;
  int[] widths;
  private transient NearSearch[] searches;

  AsOfAnswers(String text) {
    super(text);
    String[] takes = text.split(",");
    starts = new int[takes.length];
    begins = new int[takes.length + 1];
    for (int i = 0; i < takes.length; i++) begins[i + 1] = begins[i] + Integer.parseInt(takes[i]);
    joins = new int[begins[takes.length]];
    fields = new int[joins.length];
    int field = AsOfIndexes.OWN;
    for (int i = 0; i < takes.length; i++) {
      starts[i] = field;
      field += AsOfIndexes.EACH;
      for (int j = begins[i]; j < begins[i + 1]; j++) {
        joins[j] = i;
        fields[j] = field++;
      }
    }
  }

  public String name() {
    return "as_of_answers";
  }

  public BoundFunction bind(StructType given) {
    super.bind(given);
    kinds = new int[fields.length];
    widths = new int[starts.length];
    for (int i = 0; i < fields.length; i++) {
      kinds[i] = Words.kind(taken(i));
      if (kinds[i] != Words.NONE) widths[joins[i]]++;
    }
    return this;
  }

  public DataType resultType() {
    StructType type = new StructType();
    for (int i = 0; i < fields.length; i++) type = type.add("a" + i, taken(i));
    return type;
  }

  /** The type of a taken column. */
  DataType taken(int i) {
    return ((ArrayType) ((StructType) inputs[0]).fields()[fields[i]].dataType()).elementType();
  }

  public InternalRow invoke(InternalRow index, long at) {
    if (index == null) return null;
    if (searches == null) {
      searches = new NearSearch[starts.length];
      for (int i = 0; i < searches.length; i++) searches[i] = new NearSearch();
    }
    int[] places = new int[starts.length];
    if (index.isNullAt(0)) {
      for (int i = 0; i < places.length; i++) places[i] = place(index, starts[i], at, searches[i]);
    } else {
      int last = searches[0].below(index.getArray(0), at + 1) - 1;
      ArrayData all = index.getArray(1);
      for (int i = 0; i < places.length; i++) places[i] = last < 0 ? -1 : all.getInt(last * places.length + i);
    }
    return new AsOfRow(index, places, this);
  }

  private static int place(InternalRow index, int from, long at, NearSearch search) {
    int place = search.below(index.getArray(from), at + 1) - 1;
    return place < 0 || index.getArray(from + 1).getLong(place) < at ? -1 : place;
  }
}
