-- Size and average colour of each image; NULL for images that were posted before.
ALTER TABLE images ADD COLUMN width INTEGER;
ALTER TABLE images ADD COLUMN height INTEGER;
ALTER TABLE images ADD COLUMN average_colour TEXT;
