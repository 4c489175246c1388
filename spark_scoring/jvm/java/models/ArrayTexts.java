package spark_scoring.jvm;

import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.sql.catalyst.util.GenericArrayData;
import org.apache.spark.unsafe.Platform;
import org.apache.spark.unsafe.array.ByteArrayMethods;
import org.apache.spark.unsafe.types.UTF8String;

/** The texts in an array of Spark's: those at some places, or all as they stand if there are none. */
final class ArrayTexts extends Texts {
  private final int[] places;
  private Object[] texts;

  ArrayTexts(int[] places) {
    this.places = places;
  }

  void set(ArrayData given) {
    if (places == null && given instanceof GenericArrayData) {
      texts = (Object[]) ((GenericArrayData) given).array();
      return;
    }
    texts = new Object[places == null ? given.numElements() : places.length];
    for (int i = 0; i < texts.length; i++) {
      int at = places == null ? i : places[i];
      texts[i] = given.isNullAt(at) ? null : given.getUTF8String(at);
    }
  }

  boolean isMissing(int i) {
    return texts[i] == null;
  }

  int length(int i) {
    return ((UTF8String) texts[i]).numBytes();
  }

  long first(int i) {
    return ((UTF8String) texts[i]).getPrefix();
  }

  long last(int i) {
    UTF8String text = (UTF8String) texts[i];
    return Platform.getLong(text.getBaseObject(), text.getBaseOffset() + text.numBytes() - 8);
  }

  boolean isEqual(int i, byte[] known) {
    UTF8String text = (UTF8String) texts[i];
    return text.numBytes() == known.length && ByteArrayMethods.arrayEquals(
        text.getBaseObject(), text.getBaseOffset(), known, Platform.BYTE_ARRAY_OFFSET, known.length);
  }
}
