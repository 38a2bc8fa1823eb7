"""The only rendering: tables for people, plain data for machines."""
