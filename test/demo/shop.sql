-- shop.sql: a made-up shop with structure planted in it: tables products, users, events and purchases_later in the
-- current schema. For the demo, and for tests that ask whether the structure is found.
--
--   psql -v users=300 -v products=120 -v seed=7 -f shop.sql        defaults: 3000 users, 600 products (in sixties), seed 25
--
-- Everybody has a taste: two of the twelve categories, and in each a favourite brand. Most visits follow the taste, the
-- others go anywhere; some products, categories and users are far busier than others. A visit is a view, may become a
-- cart and then a purchase, the more likely the better it fits the taste. There are 120 days of it: the first 90 are
-- events, and what was bought in the rest, by users who had never touched the product, is purchases_later.
--
-- Random numbers are hashes of a row's number: the same seed gives the same shop, in whatever order rows are made.

\if :{?users} \else \set users 3000 \endif
\if :{?products} \else \set products 600 \endif
\if :{?seed} \else \set seed 25 \endif

-- evenly spread in [0, 1): one number for each key and purpose
CREATE FUNCTION pg_temp.chance(key bigint, purpose text) RETURNS float8 LANGUAGE sql IMMUTABLE
    RETURN (hashint8extended(key, hashtextextended(purpose, :seed)) >> 11 & ((1::bigint << 53) - 1)) / (1::bigint << 53)::float8;

CREATE TEMP TABLE category (no int, name text, brands text[], things text[], prices int[]);
INSERT INTO category VALUES
( 0, 'Coffee', '{Altura,Brewline,Kaldi & Co,Moka Nord,Third Cup}',
  '{Burr Grinder,French Press,Gooseneck Kettle,Pour-Over Set,Milk Frother,Travel Mug,Espresso Machine,
    Digital Scale,Cold Brew Jug,Descaler}', '{89,29,59,35,25,22,349,32,27,9}'),
( 1, 'Running', '{Stridewell,Fleetfoot,Paceline,Kestrel,Mile Zero}',
  '{Road Shoes,Trail Shoes,Running Cap,Hydration Vest,Headlamp,Split Shorts,GPS Watch,Wind Shell,Compression Socks,Foam Roller}',
  '{119,129,19,79,39,34,249,69,17,24}'),
( 2, 'Gardening', '{Greenhand,Thornbury,Loam & Leaf,Wildrow,Sunpatch}',
  '{Pruning Shears,Seed Kit,Watering Can,Raised Bed,Garden Fork,Compost Bin,Hose Reel,Kneeling Pad,Cold Frame,Plant Labels}',
  '{24,14,19,99,34,64,54,12,74,6}'),
( 3, 'Board Games', '{Tin Meeple,Owl & Dice,Grand Table,Foxglove,Second Turn}',
  '{Railway Game,Farming Game,Word Game,Co-op Mystery,Card Game,Party Game,Chess Set,Dice Tower,Trivia Box,Card Sleeves}',
  '{49,44,19,34,12,24,39,22,27,5}'),
( 4, 'Baking', '{Crumb & Co,Hearthstone,Goldloaf,Whisk House,Maple Mill}',
  '{Loaf Tin,Stand Mixer,Proofing Basket,Rolling Pin,Cake Stand,Piping Set,Dough Scraper,Oven Thermometer,
    Muffin Tray,Pastry Brush}', '{16,299,21,18,32,22,8,14,17,7}'),
( 5, 'Camping', '{Tarn,Fernhollow,Summit Row,Drift & Dune,North Basecamp}',
  '{Two-Person Tent,Sleeping Bag,Gas Stove,Lantern,Sleeping Mat,Camp Chair,Water Filter,Cool Box,Mess Kit,Hammock}',
  '{189,119,44,29,59,49,39,69,24,54}'),
( 6, 'Cycling', '{Velora,Spinwell,Col & Crest,Pedalista,Gravelmark}',
  '{Helmet,Rear Light,Bib Shorts,Floor Pump,Multi-Tool,Rain Jacket,Saddle Bag,Gloves,Bottle Cage,Chain Lube}',
  '{79,24,84,44,22,109,27,29,12,9}'),
( 7, 'Music', '{Tonewood,Blue Fret,Cadenza,Redbridge,Long Sustain}',
  '{Acoustic Guitar,Studio Headphones,Tuner,Audio Interface,Guitar Strings,Condenser Mic,Practice Amp,
    Keyboard Stand,Metronome,Capo}', '{279,129,19,149,11,119,139,44,29,14}'),
( 8, 'Photography', '{Lumenar,Obscura,Framewright,Silver Grain,Northlight}',
  '{Tripod,35mm Lens,Camera Bag,Memory Card,Camera Strap,Flash,ND Filter Set,Light Meter,Softbox,Lens Cloth}',
  '{139,329,89,34,29,159,64,119,79,8}'),
( 9, 'Drawing', '{Inkwell,Ochre,Paperweight,Studio Nine,Graphis}',
  '{Sketchbook,Fineliner Set,Watercolours,Brush Pens,Pencil Case,Gouache Set,Easel,Cutting Mat,Calligraphy Pen,Kneaded Eraser}',
  '{14,18,32,24,12,36,89,16,21,3}'),
(10, 'Home Office', '{Plainwork,Deskmate,Fjord Oak,Quiet Hours,Linea}',
  '{Desk Lamp,Laptop Stand,Mechanical Keyboard,Standing Desk,Monitor Arm,Office Chair,Webcam,Desk Mat,Footrest,Cable Tray}',
  '{59,39,109,449,89,299,69,24,34,19}'),
(11, 'Yoga', '{Asana Lane,Stillwater,Lotusroot,Even Keel,Sun Salute}',
  '{Yoga Mat,Cork Block,Leggings,Yoga Strap,Bolster,Meditation Cushion,Resistance Bands,Mat Bag,Balance Board,Eye Pillow}',
  '{49,14,54,11,44,39,22,29,64,13}');

-- A product's number is its category, then its brand, then what it is: 1 + category + 12 * (brand + 5 * thing).
CREATE TABLE products
(
    id       int PRIMARY KEY,
    name     text NOT NULL,
    category text NOT NULL,
    brand    text NOT NULL,
    price    numeric(8,2) NOT NULL
);
INSERT INTO products
SELECT p + 1,
       concat(c.brands[1 + brand], ' ', c.things[1 + thing % 10], CASE WHEN thing >= 10 THEN ' Mk ' || 1 + thing / 10 END),
       c.name,
       c.brands[1 + brand],
       round((c.prices[1 + thing % 10] * (0.8 + 0.1 * brand + 0.1 * pg_temp.chance(p, 'price')))::numeric) - 0.01
FROM   generate_series(0, :products - 1) p
JOIN   category c ON c.no = p % 12,
LATERAL (SELECT p / 12 % 5 AS brand, p / 60 AS thing) kind;

CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO users
SELECT u,
       ('{Ada,Ben,Chloe,Dario,Elif,Finn,Grace,Hugo,Ines,Jonas,Kira,Leo,Mina,Noah,Olga,Pavel,Quinn,Rosa,Sami,Tess,
          Uma,Victor,Wanda,Yusuf,Zoe}'::text[])[1 + floor(25 * pg_temp.chance(u, 'first name'))::int]
       || ' ' || chr(65 + floor(26 * pg_temp.chance(u, 'last name'))::int) || '.'
FROM   generate_series(1, :users) u;

-- what a user likes: a first and a second category, and a brand in each; and how often the user comes
CREATE TEMP TABLE taste AS
SELECT id AS user_id, first, (first + 1 + floor(11 * pg_temp.chance(id, 'second')))::int % 12 AS second,
       floor(5 * pg_temp.chance(id, 'first brand'))::int AS first_brand,
       floor(5 * pg_temp.chance(id, 'second brand'))::int AS second_brand,
       8 + floor(-16 * ln(1 - pg_temp.chance(id, 'visits')))::int AS visits
FROM   users, LATERAL (SELECT floor(12 * pg_temp.chance(id, 'first') ^ 1.3)::int) AS t(first);

-- One row a visit. Half of the visits are to the first category, three in ten to the second; seven in ten of those to
-- the favourite brand there. Within a brand the first things are the popular ones.
CREATE TEMP TABLE visit AS
SELECT user_id, 1 + category + 12 * (brand + 5 * thing) AS product_id, at,
       chance < CASE WHEN favourite THEN 0.6 WHEN liked THEN 0.4 ELSE 0.2 END AS carted,
       chance < CASE WHEN favourite THEN 0.4 WHEN liked THEN 0.2 ELSE 0.05 END AS bought
FROM   taste,
       generate_series(1, visits) AS n,
LATERAL (SELECT user_id::bigint * 1000000 + n AS key) k,
LATERAL (SELECT pg_temp.chance(key, 'where') AS place,
                pg_temp.chance(key, 'loyal') < 0.7 AS loyal,
                floor(5 * pg_temp.chance(key, 'brand'))::int AS any_brand,
                floor(12 * pg_temp.chance(key, 'category') ^ 1.3)::int AS any_category) choice,
LATERAL (SELECT place < 0.8 AS liked,
                CASE WHEN place < 0.5 THEN first WHEN place < 0.8 THEN second ELSE any_category END AS category,
                CASE WHEN place < 0.5 AND loyal THEN first_brand WHEN place < 0.8 AND loyal THEN second_brand
                     ELSE any_brand END AS brand,
                place < 0.8 AND loyal AS favourite,
                floor((:products / 60) * pg_temp.chance(key, 'thing') ^ 1.5)::int AS thing,
                timestamptz '2025-01-01 00:00+00' + interval '120 days' * pg_temp.chance(key, 'at') AS at,
                pg_temp.chance(key, 'chance') AS chance) visit;

CREATE TABLE events
(
    user_id    int NOT NULL REFERENCES users,
    product_id int NOT NULL REFERENCES products,
    kind       text NOT NULL CHECK (kind IN ('view', 'cart', 'buy')),
    at         timestamptz NOT NULL
);
INSERT INTO events
SELECT user_id, product_id, kind, at + delay
FROM   visit,
       (VALUES ('view', interval '0'), ('cart', interval '4 minutes'), ('buy', interval '9 minutes')) step(kind, delay)
WHERE  at < timestamptz '2025-04-01 00:00+00'
AND    CASE kind WHEN 'cart' THEN carted WHEN 'buy' THEN bought ELSE true END
ORDER  BY at + delay, user_id, product_id;

CREATE TABLE purchases_later AS
SELECT DISTINCT user_id, product_id
FROM   visit v
WHERE  at >= timestamptz '2025-04-01 00:00+00' AND bought
AND    NOT EXISTS (SELECT FROM events e WHERE e.user_id = v.user_id AND e.product_id = v.product_id)
ORDER  BY user_id, product_id;

DROP TABLE visit, taste, category;
DROP FUNCTION pg_temp.chance;
ANALYZE users, products, events, purchases_later;
