package spark_scoring.jvm;

import java.time.DateTimeException;
import java.time.LocalDate;

/** ISO 8601: calendar and week dates, times to the microsecond (further digits are cut off), zones as offsets. */
final class JsonTimes {
  static final long FIRST_US = -62135596800000000L, LAST_US = 253402300799999999L;
  private static final long DAY_US = 86400000000L;
  private final String text;
  private int at = 0;

  private JsonTimes(String text) {
    this.text = text;
  }

  /** Days since 1970. */
  static int day(String text) {
    JsonTimes reader = new JsonTimes(text);
    long day = reader.date(text.length());
    if (reader.at != text.length()) throw JsonFault.TYPE;
    return (int) day;
  }

  /** Microseconds since 1970; `zoned`: an offset may stand there and counts, without one the time is UTC. */
  static long instant(String text, boolean zoned) {
    JsonTimes reader = new JsonTimes(text);
    long micros = reader.date(reader.separator()) * DAY_US;
    if (reader.at++ < text.length()) micros += reader.timeOfDay(zoned);
    if (micros < FIRST_US || micros > LAST_US) throw JsonFault.TYPE;
    return micros;
  }

  /** Where the date ends: at a `T`, as ISO 8601 has it, or a blank, as SQL has it. */
  private int separator() {
    int end = 0;
    while (end < text.length() && "Tt ".indexOf(text.charAt(end)) < 0) end++;
    return end;
  }

  private boolean digit(int place) {
    return place < text.length() && text.charAt(place) >= '0' && text.charAt(place) <= '9';
  }

  private int number(int digits) {
    int value = 0;
    for (int end = at + digits; at < end; at++) {
      if (!digit(at)) throw JsonFault.TYPE;
      value = value * 10 + text.charAt(at) - '0';
    }
    return value;
  }

  private boolean taken(char wanted, int end) {
    boolean there = at < end && text.charAt(at) == wanted;
    if (there) at++;
    return there;
  }

  private long date(int end) {
    if (text.length() < end || end != 7 && end != 8 && end != 10) throw JsonFault.TYPE;
    int year = number(4);
    boolean dashed = taken('-', end);
    long day = taken('W', end) ? week(year, dashed, end) : calendar(year, dashed, end);
    if (at != end) throw JsonFault.TYPE;
    return day;
  }

  private long calendar(int year, boolean dashed, int end) {
    int month = number(2);
    if (taken('-', end) != dashed) throw JsonFault.TYPE;
    int day = number(2);
    if (year < 1) throw JsonFault.TYPE;
    try {
      return LocalDate.of(year, month, day).toEpochDay();
    } catch (DateTimeException error) {
      throw JsonFault.TYPE;
    }
  }

  private long week(int year, boolean dashed, int end) {
    int week = number(2), day = 1;
    if (at < end) {
      if (taken('-', end) != dashed) throw JsonFault.TYPE;
      day = number(1);
    }
    if (year < 1 || day < 1 || day > 7 || week < 1 || week > weeks(year)) throw JsonFault.TYPE;
    long found = firstMonday(year) + (week - 1) * 7L + day - 1;
    if (found < FIRST_US / DAY_US || found > LAST_US / DAY_US) throw JsonFault.TYPE;
    return found;
  }

  /** Of the week that holds January 4. */
  private static long firstMonday(int year) {
    LocalDate fourth = LocalDate.of(year, 1, 4);
    return fourth.toEpochDay() - (fourth.getDayOfWeek().getValue() - 1);
  }

  private static long weeks(int year) {
    return (firstMonday(year + 1) - firstMonday(year)) / 7;
  }

  private long timeOfDay(boolean zoned) {
    int zone = at;
    while (zone < text.length() && "+-Zz".indexOf(text.charAt(zone)) < 0) zone++;
    long time = clock(zone);
    if (time >= DAY_US) throw JsonFault.TYPE;
    if (zone == text.length()) return time;
    if (!zoned) throw JsonFault.TYPE;
    char sign = text.charAt(at++);
    if (sign == 'Z' || sign == 'z') {
      if (at != text.length()) throw JsonFault.TYPE;
      return time;
    }
    long offset = clock(text.length());
    if (offset >= DAY_US) throw JsonFault.TYPE;
    return sign == '-' ? time + offset : time - offset;
  }

  /** HH[[:]MM[[:]SS[(.|,)f…]]] */
  private long clock(int end) {
    if (at + 2 > end) throw JsonFault.TYPE;
    int hour = number(2), minute = 0, second = 0;
    long micros = 0;
    if (at < end) {
      boolean colons = taken(':', end);
      if (at + 2 > end) throw JsonFault.TYPE;
      minute = number(2);
      if (at < end) {
        if (taken(':', end) != colons || at + 2 > end) throw JsonFault.TYPE;
        second = number(2);
        if (at < end) micros = fraction(end);
      }
    }
    if (hour > 23 || minute > 59 || second > 59) throw JsonFault.TYPE;
    return ((hour * 60L + minute) * 60L + second) * 1000000L + micros;
  }

  private long fraction(int end) {
    if (!taken('.', end) && !taken(',', end) || at == end) throw JsonFault.TYPE;
    long micros = 0;
    for (int place = 0; place < 6; place++) micros = micros * 10 + (at < end ? number(1) : 0);
    while (at < end) number(1);
    return micros;
  }
}
