package spark_scoring.jvm;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;

/** A strict reader of JSON: a map, list, String, JsonNumber, Boolean or null. */
final class JsonText {
  // deeper ones are refused before the stack ends
  private static final int DEEPEST = 500;
  private final String text;
  private int at = 0;

  private JsonText(String text) {
    this.text = text;
  }

  /** The one object that the bytes are. */
  static LinkedHashMap object(byte[] bytes) {
    JsonText reader = new JsonText(decoded(bytes));
    Object value = reader.value(0);
    reader.blanks();
    if (reader.at != reader.text.length() || !(value instanceof LinkedHashMap)) throw JsonFault.NO_OBJECT;
    return (LinkedHashMap) value;
  }

  /** The one number that the text is. */
  static JsonNumber number(String text) {
    JsonText reader = new JsonText(text);
    JsonNumber found = null;
    try {
      found = reader.number();
    } catch (JsonFault fault) {
      throw fault == JsonFault.NO_OBJECT ? JsonFault.TYPE : fault;
    }
    if (reader.at < text.length()) throw JsonFault.TYPE;
    return found;
  }

  private static String decoded(byte[] bytes) {
    try {
      return StandardCharsets.UTF_8.newDecoder().onMalformedInput(CodingErrorAction.REPORT)
          .onUnmappableCharacter(CodingErrorAction.REPORT).decode(ByteBuffer.wrap(bytes)).toString();
    } catch (CharacterCodingException error) {
      throw JsonFault.NOT_UTF8;
    }
  }

  private char peek() {
    return at < text.length() ? text.charAt(at) : '\0';
  }

  private void blanks() {
    while (at < text.length() && " \t\n\r".indexOf(text.charAt(at)) >= 0) at++;
  }

  private void expect(char wanted) {
    if (peek() != wanted) throw JsonFault.NO_OBJECT;
    at++;
  }

  private Object value(int depth) {
    if (depth > DEEPEST) throw JsonFault.NO_OBJECT;
    blanks();
    char next = peek();
    if (next == '{') return fields(depth);
    if (next == '[') return elements(depth);
    if (next == '"') return string();
    if (next == '-' || digit(next)) return number();
    if (text.startsWith("true", at)) return word(4, Boolean.TRUE);
    if (text.startsWith("false", at)) return word(5, Boolean.FALSE);
    if (text.startsWith("null", at)) return word(4, null);
    throw JsonFault.NO_OBJECT;
  }

  private Object word(int length, Object value) {
    at += length;
    return value;
  }

  private LinkedHashMap fields(int depth) {
    LinkedHashMap found = new LinkedHashMap();
    boolean repeated = false;
    at++;
    blanks();
    while (peek() != '}') {
      if (!found.isEmpty()) {
        expect(',');
        blanks();
      }
      if (peek() != '"') throw JsonFault.NO_OBJECT;
      String name = string();
      blanks();
      expect(':');
      Object value = value(depth + 1);
      repeated |= found.containsKey(name);
      found.put(name, value);
      blanks();
    }
    at++;
    // told at its end: what is no JSON at all is told as that
    if (repeated) throw JsonFault.REPEATED;
    return found;
  }

  private ArrayList elements(int depth) {
    ArrayList found = new ArrayList();
    at++;
    blanks();
    while (peek() != ']') {
      if (!found.isEmpty()) expect(',');
      found.add(value(depth + 1));
      blanks();
    }
    at++;
    return found;
  }

  private String string() {
    int start = ++at;
    while (at < text.length() && text.charAt(at) != '"' && text.charAt(at) != '\\' && text.charAt(at) >= ' ') at++;
    if (peek() == '"') return text.substring(start, at++);
    StringBuilder built = new StringBuilder(text.substring(start, at));
    while (at < text.length()) {
      char next = text.charAt(at++);
      if (next == '"') return built.toString();
      if (next < ' ') throw JsonFault.NO_OBJECT;
      built.append(next == '\\' ? escaped() : next);
    }
    throw JsonFault.NO_OBJECT;
  }

  private char escaped() {
    char next = peek();
    at++;
    int plain = "\"\\/bfnrt".indexOf(next);
    if (plain >= 0) return "\"\\/\b\f\n\r\t".charAt(plain);
    if (next != 'u' || at + 4 > text.length()) throw JsonFault.NO_OBJECT;
    int code = 0;
    for (int end = at + 4; at < end; at++) {
      char digit = text.charAt(at);
      int value = digit < 128 ? Character.digit(digit, 16) : -1;
      if (value < 0) throw JsonFault.NO_OBJECT;
      code = code * 16 + value;
    }
    return (char) code;
  }

  private static boolean digit(char given) {
    return given >= '0' && given <= '9';
  }

  private int digits() {
    int start = at;
    while (digit(peek())) at++;
    return at - start;
  }

  private JsonNumber number() {
    int start = at;
    if (peek() == '-') at++;
    if (peek() == '0') at++;
    else if (digits() == 0) throw JsonFault.NO_OBJECT;
    boolean real = false;
    if (peek() == '.') {
      at++;
      real = true;
      if (digits() == 0) throw JsonFault.NO_OBJECT;
    }
    if (peek() == 'e' || peek() == 'E') {
      at++;
      real = true;
      if (peek() == '+' || peek() == '-') at++;
      if (digits() == 0) throw JsonFault.NO_OBJECT;
    }
    return new JsonNumber(text.substring(start, at), real);
  }
}
