package spark_scoring.jvm;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** The texts of a row in UTF-8, wherever they lie. */
abstract class Texts {
  abstract boolean isMissing(int i);

  /** How many bytes it has. */
  abstract int length(int i);

  /** Its first eight bytes, zeros behind a shorter one. */
  abstract long first(int i);

  /** Its last eight bytes, of one that has more than eight. */
  abstract long last(int i);

  abstract boolean isEqual(int i, byte[] known);

  static long firstOf(byte[] text) {
    long found = 0;
    for (int i = 0; i < 8; i++) found = found << 8 | (i < text.length ? text[i] & 0xff : 0);
    return found;
  }

  static long lastOf(byte[] text) {
    return text.length > 8 ? ByteBuffer.wrap(text).order(ByteOrder.nativeOrder()).getLong(text.length - 8) : 0;
  }
}
