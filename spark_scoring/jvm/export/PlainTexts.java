package spark_scoring.jvm;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** The texts of a row as bytes. */
final class PlainTexts extends Texts {
  final byte[][] texts;

  PlainTexts(int count) {
    texts = new byte[count][];
  }

  void set(int i, Object text) {
    texts[i] = text == null ? null : text.toString().getBytes(StandardCharsets.UTF_8);
  }

  boolean isMissing(int i) {
    return texts[i] == null;
  }

  int length(int i) {
    return texts[i].length;
  }

  long first(int i) {
    return firstOf(texts[i]);
  }

  long last(int i) {
    return lastOf(texts[i]);
  }

  boolean isEqual(int i, byte[] known) {
    return Arrays.equals(texts[i], known);
  }
}
