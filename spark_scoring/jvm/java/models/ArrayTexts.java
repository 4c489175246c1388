package spark_scoring.jvm;

import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.unsafe.Platform;
import org.apache.spark.unsafe.array.ByteArrayMethods;
import org.apache.spark.unsafe.types.UTF8String;

/** The texts in an array of Spark's. */
final class ArrayTexts extends Texts {
  ArrayData texts;

  boolean isMissing(int i) {
    return texts.isNullAt(i);
  }

  int length(int i) {
    return texts.getUTF8String(i).numBytes();
  }

  long first(int i) {
    return texts.getUTF8String(i).getPrefix();
  }

  long last(int i) {
    UTF8String text = texts.getUTF8String(i);
    return Platform.getLong(text.getBaseObject(), text.getBaseOffset() + text.numBytes() - 8);
  }

  boolean isEqual(int i, byte[] known) {
    UTF8String text = texts.getUTF8String(i);
    return text.numBytes() == known.length && ByteArrayMethods.arrayEquals(
        text.getBaseObject(), text.getBaseOffset(), known, Platform.BYTE_ARRAY_OFFSET, known.length);
  }
}
