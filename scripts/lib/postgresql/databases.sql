-- Run by the PostgreSQL image on an empty volume: each service owns a database, and sees no other.
CREATE DATABASE orders;
CREATE DATABASE inventory;
CREATE DATABASE payments;
CREATE DATABASE shipping;
CREATE DATABASE notifications;
