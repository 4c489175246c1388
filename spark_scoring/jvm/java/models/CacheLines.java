package spark_scoring.jvm;

import java.lang.management.ManagementFactory;
import javax.management.JMException;
import javax.management.ObjectName;
import javax.management.openmbean.CompositeData;

/**
 * Arrays whose vectors do not lie on two cache lines each: see docs/decisions/0005.
 *
 * Java says of no array where it lies. But G1 gives one of half a region or more regions of its own, so that it begins at
 * a cache line with its header, and stays there.
 */
final class CacheLines {
  /** How many words follow the header until the next cache line begins. */
  static final int HEAD = 6;
  /** How many bytes an array is made of at most for that alone. */
  private static final int MOST = 4 << 20;
  private static final int OWN_REGIONS = ownRegions();

  /** The length of an array with room for so many words from `HEAD` on. */
  static int length(int words) {
    return Math.max(HEAD + words, OWN_REGIONS <= MOST ? OWN_REGIONS / 8 : 0);
  }

  /** From how many bytes on an array has regions of its own; 0 with other collectors than G1. */
  private static int ownRegions() {
    return option("UseG1GC").equals("true") ? Integer.parseInt(option("G1HeapRegionSize")) / 2 : 0;
  }

  private static String option(String name) {
    try {
      ObjectName bean = new ObjectName("com.sun.management:type=HotSpotDiagnostic");
      Object found = ManagementFactory.getPlatformMBeanServer()
          .invoke(bean, "getVMOption", new Object[] {name}, new String[] {"java.lang.String"});
      return (String) ((CompositeData) found).get("value");
    } catch (JMException error) {
      // a virtual machine of another kind
      return "";
    }
  }
}
