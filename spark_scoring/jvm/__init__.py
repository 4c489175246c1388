"""Functions of the JVM: Java source, compiled in the running session."""
