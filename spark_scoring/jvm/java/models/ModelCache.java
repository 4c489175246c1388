package spark_scoring.jvm;

import java.util.LinkedHashMap;
import org.apache.spark.broadcast.Broadcast;

/** The models of a JVM, read at most once while they are in use; those used longest ago are given up first. */
final class ModelCache {
  private static final long BUDGET_BYTES = 512L << 20;
  private static final LinkedHashMap LOADED = new LinkedHashMap(16, 0.75f, true);

  private ModelCache() {}

  static synchronized Model get(String key, Broadcast sent) {
    Model found = (Model) LOADED.get(key);
    if (found == null) {
      found = new Model((byte[]) sent.value());
      makeRoom(found.bytes);
      LOADED.put(key, found);
    }
    return found;
  }

  private static void makeRoom(long wanted) {
    long used = wanted;
    Object[] all = LOADED.values().toArray();
    for (int i = 0; i < all.length; i++) used += ((Model) all[i]).bytes;
    Object[] keys = LOADED.keySet().toArray();
    for (int i = 0; i < keys.length && used > BUDGET_BYTES; i++) used -= ((Model) LOADED.remove(keys[i])).bytes;
  }
}
