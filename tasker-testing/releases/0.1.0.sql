--
-- PostgreSQL database dump
--


-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: pgmq; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA pgmq;


--
-- Name: tasker; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA tasker;


--
-- Name: message_record; Type: TYPE; Schema: pgmq; Owner: -
--

CREATE TYPE pgmq.message_record AS (
	msg_id bigint,
	read_ct integer,
	enqueued_at timestamp with time zone,
	last_read_at timestamp with time zone,
	vt timestamp with time zone,
	message jsonb,
	headers jsonb
);


--
-- Name: metrics_result; Type: TYPE; Schema: pgmq; Owner: -
--

CREATE TYPE pgmq.metrics_result AS (
	queue_name text,
	queue_length bigint,
	newest_msg_age_sec integer,
	oldest_msg_age_sec integer,
	total_messages bigint,
	scrape_time timestamp with time zone,
	queue_visible_length bigint,
	default_partition_length bigint
);


--
-- Name: queue_record; Type: TYPE; Schema: pgmq; Owner: -
--

CREATE TYPE pgmq.queue_record AS (
	queue_name character varying,
	is_partitioned boolean,
	is_unlogged boolean,
	created_at timestamp with time zone
);


--
-- Name: moved; Type: TYPE; Schema: tasker; Owner: -
--

CREATE TYPE tasker.moved AS (
	stale integer[],
	locked integer[],
	ready_tasks uuid[],
	finished_tasks uuid[],
	cancelled_tasks uuid[],
	woken_queues text[],
	timer_set boolean
);


--
-- Name: queued_message; Type: TYPE; Schema: tasker; Owner: -
--

CREATE TYPE tasker.queued_message AS (
	queue_name text,
	msg_id bigint,
	task_uuid uuid,
	step_no integer
);


--
-- Name: ready_cause; Type: TYPE; Schema: tasker; Owner: -
--

CREATE TYPE tasker.ready_cause AS ENUM (
    'task_start',
    'step_transition',
    'retry'
);


--
-- Name: received_step; Type: TYPE; Schema: tasker; Owner: -
--

CREATE TYPE tasker.received_step AS (
	task_uuid uuid,
	step_no integer,
	msg_id bigint,
	namespace text,
	template text,
	step_name text,
	handler text,
	attempt integer,
	receipt integer,
	max_attempts integer,
	timeout_ms integer,
	priority integer,
	context jsonb,
	input jsonb,
	dependency_results jsonb,
	expired text,
	input_bytes bigint,
	problem text
);


--
-- Name: step_state; Type: TYPE; Schema: tasker; Owner: -
--

CREATE TYPE tasker.step_state AS ENUM (
    'pending',
    'enqueued',
    'in_progress',
    'waiting_for_retry',
    'complete',
    'error',
    'cancelled',
    'skipped',
    'resolved_manually'
);


--
-- Name: task_state; Type: TYPE; Schema: tasker; Owner: -
--

CREATE TYPE tasker.task_state AS ENUM (
    'pending',
    'in_progress',
    'complete',
    'error',
    'cancelled',
    'resolved_manually'
);


--
-- Name: _belongs_to_pgmq(text); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq._belongs_to_pgmq(table_name text) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    sql TEXT;
    result BOOLEAN;
BEGIN
  SELECT EXISTS (
    SELECT 1
    FROM pg_depend
    WHERE refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pgmq')
    AND objid = (
        SELECT oid
        FROM pg_class
        WHERE relname = table_name
    )
  ) INTO result;
  RETURN result;
END;
$$;


--
-- Name: _create_fifo_index_if_not_exists(text); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq._create_fifo_index_if_not_exists(queue_name text) RETURNS void
    LANGUAGE plpgsql
    AS $_$
DECLARE
    qtable TEXT := pgmq.format_table_name(queue_name, 'q');
    index_name TEXT := qtable || '_fifo_idx';
BEGIN
    -- Create GIN index on headers for efficient FIFO key lookups
    EXECUTE FORMAT(
        $QUERY$
        CREATE INDEX IF NOT EXISTS %I ON pgmq.%I USING GIN (headers);
        $QUERY$,
        index_name, qtable
    );
END;
$_$;


--
-- Name: _ensure_pg_partman_installed(); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq._ensure_pg_partman_installed() RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF NOT pgmq._extension_exists('pg_partman') THEN
    RAISE EXCEPTION 'pg_partman is required for partitioned queues';
  END IF;
END;
$$;


--
-- Name: _extension_exists(text); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq._extension_exists(extension_name text) RETURNS boolean
    LANGUAGE sql
    AS $$
SELECT EXISTS (
    SELECT 1
    FROM pg_extension
    WHERE extname = extension_name
)
$$;


--
-- Name: _get_partition_col(text); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq._get_partition_col(partition_interval text) RETURNS text
    LANGUAGE plpgsql
    AS $$
DECLARE
  num INTEGER;
BEGIN
    BEGIN
        num := partition_interval::INTEGER;
        RETURN 'msg_id';
    EXCEPTION
        WHEN others THEN
            RETURN 'enqueued_at';
    END;
END;
$$;


--
-- Name: _get_pg_partman_major_version(); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq._get_pg_partman_major_version() RETURNS integer
    LANGUAGE sql
    AS $$
  SELECT split_part(extversion, '.', 1)::INT
  FROM pg_extension
  WHERE extname = 'pg_partman'
$$;


--
-- Name: _get_pg_partman_schema(); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq._get_pg_partman_schema() RETURNS text
    LANGUAGE sql
    AS $$
  SELECT
    extnamespace::regnamespace::text
  FROM
    pg_extension
  WHERE
    extname = 'pg_partman';
$$;


--
-- Name: _send_batch(text, jsonb[], jsonb[], timestamp with time zone); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq._send_batch(queue_name text, msgs jsonb[], headers jsonb[], delay timestamp with time zone) RETURNS SETOF bigint
    LANGUAGE plpgsql
    AS $_$
DECLARE
    sql TEXT;
    qtable TEXT := pgmq.format_table_name(queue_name, 'q');
BEGIN
    sql := FORMAT(
            $QUERY$
        INSERT INTO pgmq.%I (vt, message, headers)
        SELECT $2, unnest($1), unnest(coalesce($3, ARRAY[]::jsonb[]))
        RETURNING msg_id;
        $QUERY$,
            qtable
           );
    RETURN QUERY EXECUTE sql USING msgs, delay, headers;
END;
$_$;


--
-- Name: _validate_batch_params(jsonb[], jsonb[]); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq._validate_batch_params(msgs jsonb[], headers jsonb[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    -- Validate that msgs is not NULL or empty
    IF msgs IS NULL OR array_length(msgs, 1) IS NULL THEN
        RAISE EXCEPTION 'msgs cannot be NULL or empty';
    END IF;

    -- Validate that headers array length matches msgs array length if headers is provided
    -- Note: array_length returns NULL for empty arrays, so we use COALESCE to treat empty arrays as length 0
    IF headers IS NOT NULL AND COALESCE(array_length(headers, 1), 0) != COALESCE(array_length(msgs, 1), 0) THEN
        RAISE EXCEPTION 'headers array length (%) must match msgs array length (%)',
            COALESCE(array_length(headers, 1), 0), COALESCE(array_length(msgs, 1), 0);
    END IF;
END;
$$;


--
-- Name: acquire_queue_lock(text); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.acquire_queue_lock(queue_name text) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('pgmq.queue_' || queue_name));
END;
$$;


--
-- Name: archive(text, bigint[]); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.archive(queue_name text, msg_ids bigint[]) RETURNS SETOF bigint
    LANGUAGE plpgsql
    AS $_$
DECLARE
    sql TEXT;
    qtable TEXT := pgmq.format_table_name(queue_name, 'q');
    atable TEXT := pgmq.format_table_name(queue_name, 'a');
BEGIN
    sql := FORMAT(
        $QUERY$
        WITH archived AS (
            DELETE FROM pgmq.%I
            WHERE msg_id = ANY($1)
            RETURNING msg_id, vt, read_ct, enqueued_at, last_read_at, message, headers
        )
        INSERT INTO pgmq.%I (msg_id, vt, read_ct, enqueued_at, last_read_at, message, headers)
        SELECT msg_id, vt, read_ct, enqueued_at, last_read_at, message, headers
        FROM archived
        RETURNING msg_id;
        $QUERY$,
        qtable, atable
    );
    RETURN QUERY EXECUTE sql USING msg_ids;
END;
$_$;


--
-- Name: archive(text, bigint); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.archive(queue_name text, msg_id bigint) RETURNS boolean
    LANGUAGE plpgsql
    AS $_$
DECLARE
    sql TEXT;
    result BIGINT;
    qtable TEXT := pgmq.format_table_name(queue_name, 'q');
    atable TEXT := pgmq.format_table_name(queue_name, 'a');
BEGIN
    sql := FORMAT(
        $QUERY$
        WITH archived AS (
            DELETE FROM pgmq.%I
            WHERE msg_id = $1
            RETURNING msg_id, vt, read_ct, enqueued_at, last_read_at, message, headers
        )
        INSERT INTO pgmq.%I (msg_id, vt, read_ct, enqueued_at, last_read_at, message, headers)
        SELECT msg_id, vt, read_ct, enqueued_at, last_read_at, message, headers
        FROM archived
        RETURNING msg_id;
        $QUERY$,
        qtable, atable
    );
    EXECUTE sql USING msg_id INTO result;
    RETURN NOT (result IS NULL);
END;
$_$;


--
-- Name: bind_topic(text, text); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.bind_topic(pattern text, queue_name text) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM pgmq.validate_topic_pattern(pattern);
    IF queue_name IS NULL OR queue_name = '' THEN
        RAISE EXCEPTION 'queue_name cannot be NULL or empty';
    END IF;

    IF NOT EXISTS (SELECT 1 FROM pgmq.meta WHERE meta.queue_name = bind_topic.queue_name) THEN
        RAISE EXCEPTION 'Queue "%" does not exist. Create the queue first using pgmq.create()', queue_name;
    END IF;

    INSERT INTO pgmq.topic_bindings (pattern, queue_name)
    VALUES (pattern, queue_name)
    ON CONFLICT ON CONSTRAINT topic_bindings_unique_pattern_queue DO NOTHING;
END;
$$;


--
-- Name: convert_archive_partitioned(text, text, text, integer); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.convert_archive_partitioned(table_name text, partition_interval text DEFAULT '10000'::text, retention_interval text DEFAULT '100000'::text, leading_partition integer DEFAULT 10) RETURNS void
    LANGUAGE plpgsql
    AS $_$
DECLARE
  a_table_name TEXT := pgmq.format_table_name(table_name, 'a');
  a_table_name_old TEXT := pgmq.format_table_name(table_name, 'a') || '_old';
  qualified_a_table_name TEXT := format('pgmq.%I', a_table_name);
  partition_col TEXT;
  a_partition_col TEXT;
BEGIN

  PERFORM c.relkind
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relname = a_table_name
    AND c.relkind = 'p';

  IF FOUND THEN
    RAISE NOTICE 'Table %s is already partitioned', a_table_name;
    RETURN;
  END IF;

  PERFORM c.relkind
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relname = a_table_name
    AND c.relkind = 'r';

  IF NOT FOUND THEN
    RAISE NOTICE 'Table %s does not exists', a_table_name;
    RETURN;
  END IF;

  SELECT pgmq._get_partition_col(partition_interval) INTO partition_col;

  -- For archive tables, use archived_at for time-based partitioning
  IF partition_col = 'enqueued_at' THEN
    a_partition_col := 'archived_at';
  ELSE
    a_partition_col := partition_col;
  END IF;

  EXECUTE 'ALTER TABLE ' || qualified_a_table_name || ' RENAME TO ' || a_table_name_old;

  -- When partitioning by time (archived_at), we need to exclude constraints and indexes
  -- because the existing PRIMARY KEY on msg_id alone is incompatible with partitioning by archived_at.
  -- When partitioning by msg_id, we can keep all constraints including PRIMARY KEY.
  IF a_partition_col = 'archived_at' THEN
    EXECUTE format( 'CREATE TABLE pgmq.%I (LIKE pgmq.%I including defaults including generated including storage including comments) PARTITION BY RANGE (%I)', a_table_name, a_table_name_old, a_partition_col );
  ELSE
    EXECUTE format( 'CREATE TABLE pgmq.%I (LIKE pgmq.%I including all) PARTITION BY RANGE (%I)', a_table_name, a_table_name_old, a_partition_col );
  END IF;

  EXECUTE 'ALTER INDEX pgmq.archived_at_idx_' || table_name || ' RENAME TO archived_at_idx_' || table_name || '_old';
  EXECUTE 'CREATE INDEX archived_at_idx_'|| table_name || ' ON ' || qualified_a_table_name ||'(archived_at)';

  -- https://github.com/pgpartman/pg_partman/blob/master/doc/pg_partman.md
  -- p_parent_table - the existing parent table. MUST be schema qualified, even if in public schema.
  EXECUTE FORMAT(
    $QUERY$
    SELECT %I.create_parent(
      p_parent_table := %L,
      p_control := %L,
      p_interval := %L,
      p_type := case
        when pgmq._get_pg_partman_major_version() = 5 then 'range'
        else 'native'
      end
    )
    $QUERY$,
    pgmq._get_pg_partman_schema(),
    qualified_a_table_name,
    a_partition_col,
    partition_interval
  );

  EXECUTE FORMAT(
    $QUERY$
    UPDATE %I.part_config
    SET
      retention = %L,
      retention_keep_table = false,
      retention_keep_index = false,
      infinite_time_partitions = true
    WHERE
      parent_table = %L;
    $QUERY$,
    pgmq._get_pg_partman_schema(),
    retention_interval,
    qualified_a_table_name
  );
END;
$_$;


--
-- Name: create(text); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq."create"(queue_name text) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM pgmq.create_non_partitioned(queue_name);
END;
$$;


--
-- Name: create_fifo_index(text); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.create_fifo_index(queue_name text) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM pgmq._create_fifo_index_if_not_exists(queue_name);
END;
$$;


--
-- Name: create_fifo_indexes_all(); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.create_fifo_indexes_all() RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    queue_record RECORD;
BEGIN
    FOR queue_record IN SELECT queue_name FROM pgmq.meta LOOP
        PERFORM pgmq.create_fifo_index(queue_record.queue_name);
    END LOOP;
END;
$$;


--
-- Name: create_non_partitioned(text); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.create_non_partitioned(queue_name text) RETURNS void
    LANGUAGE plpgsql
    AS $_$
DECLARE
  qtable TEXT := pgmq.format_table_name(queue_name, 'q');
  qtable_seq TEXT := qtable || '_msg_id_seq';
  atable TEXT := pgmq.format_table_name(queue_name, 'a');
BEGIN
  PERFORM pgmq.validate_queue_name(queue_name);
  PERFORM pgmq.acquire_queue_lock(queue_name);

  EXECUTE FORMAT(
    $QUERY$
    CREATE TABLE IF NOT EXISTS pgmq.%I (
        msg_id BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
        read_ct INT DEFAULT 0 NOT NULL,
        enqueued_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        last_read_at TIMESTAMP WITH TIME ZONE,
        vt TIMESTAMP WITH TIME ZONE NOT NULL,
        message JSONB,
        headers JSONB
    )
    $QUERY$,
    qtable
  );

  EXECUTE FORMAT(
    $QUERY$
    CREATE TABLE IF NOT EXISTS pgmq.%I (
      msg_id BIGINT PRIMARY KEY,
      read_ct INT DEFAULT 0 NOT NULL,
      enqueued_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
      last_read_at TIMESTAMP WITH TIME ZONE,
      archived_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
      vt TIMESTAMP WITH TIME ZONE NOT NULL,
      message JSONB,
      headers JSONB
    );
    $QUERY$,
    atable
  );

  EXECUTE FORMAT(
    $QUERY$
    CREATE INDEX IF NOT EXISTS %I ON pgmq.%I (vt ASC);
    $QUERY$,
    qtable || '_vt_idx', qtable
  );

  EXECUTE FORMAT(
    $QUERY$
    CREATE INDEX IF NOT EXISTS %I ON pgmq.%I (archived_at);
    $QUERY$,
    'archived_at_idx_' || queue_name, atable
  );

  EXECUTE FORMAT(
    $QUERY$
    INSERT INTO pgmq.meta (queue_name, is_partitioned, is_unlogged)
    VALUES (%L, false, false)
    ON CONFLICT
    DO NOTHING;
    $QUERY$,
    queue_name
  );

END;
$_$;


--
-- Name: create_partitioned(text, text, text, integer); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.create_partitioned(queue_name text, partition_interval text DEFAULT '10000'::text, retention_interval text DEFAULT '100000'::text, premake integer DEFAULT 4) RETURNS void
    LANGUAGE plpgsql
    AS $_$
DECLARE
  partition_col TEXT;
  a_partition_col TEXT;
  qtable TEXT := pgmq.format_table_name(queue_name, 'q');
  qtable_seq TEXT := qtable || '_msg_id_seq';
  atable TEXT := pgmq.format_table_name(queue_name, 'a');
  fq_qtable TEXT := 'pgmq.' || qtable;
  fq_atable TEXT := 'pgmq.' || atable;
BEGIN
  PERFORM pgmq.validate_queue_name(queue_name);
  PERFORM pgmq.acquire_queue_lock(queue_name);
  PERFORM pgmq._ensure_pg_partman_installed();
  IF premake < 1 THEN
    RAISE EXCEPTION 'premake must be at least 1, got %', premake;
  END IF;
  SELECT pgmq._get_partition_col(partition_interval) INTO partition_col;

  EXECUTE FORMAT(
    $QUERY$
    CREATE TABLE IF NOT EXISTS pgmq.%I (
        msg_id BIGINT GENERATED BY DEFAULT AS IDENTITY,
        read_ct INT DEFAULT 0 NOT NULL,
        enqueued_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        last_read_at TIMESTAMP WITH TIME ZONE,
        vt TIMESTAMP WITH TIME ZONE NOT NULL,
        message JSONB,
        headers JSONB
    ) PARTITION BY RANGE (%I)
    $QUERY$,
    qtable, partition_col
  );

  -- https://github.com/pgpartman/pg_partman/blob/master/doc/pg_partman.md
  -- p_parent_table - the existing parent table. MUST be schema qualified, even if in public schema.
  EXECUTE FORMAT(
    $QUERY$
    SELECT %I.create_parent(
      p_parent_table := %L,
      p_control := %L,
      p_interval := %L,
      p_premake := %s,
      p_type := case
        when pgmq._get_pg_partman_major_version() = 5 then 'range'
        else 'native'
      end
    )
    $QUERY$,
    pgmq._get_pg_partman_schema(),
    fq_qtable,
    partition_col,
    partition_interval,
    premake
  );

  EXECUTE FORMAT(
    $QUERY$
    CREATE INDEX IF NOT EXISTS %I ON pgmq.%I (%I);
    $QUERY$,
    qtable || '_part_idx', qtable, partition_col
  );

  EXECUTE FORMAT(
    $QUERY$
    UPDATE %I.part_config
    SET
        retention = %L,
        retention_keep_table = false,
        retention_keep_index = true,
        automatic_maintenance = 'on'
    WHERE parent_table = %L;
    $QUERY$,
    pgmq._get_pg_partman_schema(),
    retention_interval,
    'pgmq.' || qtable
  );

  EXECUTE FORMAT(
    $QUERY$
    INSERT INTO pgmq.meta (queue_name, is_partitioned, is_unlogged)
    VALUES (%L, true, false)
    ON CONFLICT
    DO NOTHING;
    $QUERY$,
    queue_name
  );

  IF partition_col = 'enqueued_at' THEN
    a_partition_col := 'archived_at';
  ELSE
    a_partition_col := partition_col;
  END IF;

  EXECUTE FORMAT(
    $QUERY$
    CREATE TABLE IF NOT EXISTS pgmq.%I (
      msg_id BIGINT NOT NULL,
      read_ct INT DEFAULT 0 NOT NULL,
      enqueued_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
      last_read_at TIMESTAMP WITH TIME ZONE,
      archived_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
      vt TIMESTAMP WITH TIME ZONE NOT NULL,
      message JSONB,
      headers JSONB
    ) PARTITION BY RANGE (%I);
    $QUERY$,
    atable, a_partition_col
  );

  -- https://github.com/pgpartman/pg_partman/blob/master/doc/pg_partman.md
  -- p_parent_table - the existing parent table. MUST be schema qualified, even if in public schema.
  EXECUTE FORMAT(
    $QUERY$
    SELECT %I.create_parent(
      p_parent_table := %L,
      p_control := %L,
      p_interval := %L,
      p_premake := %s,
      p_type := case
        when pgmq._get_pg_partman_major_version() = 5 then 'range'
        else 'native'
      end
    )
    $QUERY$,
    pgmq._get_pg_partman_schema(),
    fq_atable,
    a_partition_col,
    partition_interval,
    premake
  );

  EXECUTE FORMAT(
    $QUERY$
    UPDATE %I.part_config
    SET
        retention = %L,
        retention_keep_table = false,
        retention_keep_index = true,
        automatic_maintenance = 'on'
    WHERE parent_table = %L;
    $QUERY$,
    pgmq._get_pg_partman_schema(),
    retention_interval,
    'pgmq.' || atable
  );

  EXECUTE FORMAT(
    $QUERY$
    CREATE INDEX IF NOT EXISTS %I ON pgmq.%I (archived_at);
    $QUERY$,
    'archived_at_idx_' || queue_name, atable
  );

END;
$_$;


--
-- Name: create_unlogged(text); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.create_unlogged(queue_name text) RETURNS void
    LANGUAGE plpgsql
    AS $_$
DECLARE
  qtable TEXT := pgmq.format_table_name(queue_name, 'q');
  qtable_seq TEXT := qtable || '_msg_id_seq';
  atable TEXT := pgmq.format_table_name(queue_name, 'a');
BEGIN
  PERFORM pgmq.validate_queue_name(queue_name);
  PERFORM pgmq.acquire_queue_lock(queue_name);

  EXECUTE FORMAT(
    $QUERY$
    CREATE UNLOGGED TABLE IF NOT EXISTS pgmq.%I (
        msg_id BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
        read_ct INT DEFAULT 0 NOT NULL,
        enqueued_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        last_read_at TIMESTAMP WITH TIME ZONE,
        vt TIMESTAMP WITH TIME ZONE NOT NULL,
        message JSONB,
        headers JSONB
    )
    $QUERY$,
    qtable
  );

  EXECUTE FORMAT(
    $QUERY$
    CREATE TABLE IF NOT EXISTS pgmq.%I (
      msg_id BIGINT PRIMARY KEY,
      read_ct INT DEFAULT 0 NOT NULL,
      enqueued_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
      last_read_at TIMESTAMP WITH TIME ZONE,
      archived_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
      vt TIMESTAMP WITH TIME ZONE NOT NULL,
      message JSONB,
      headers JSONB
    );
    $QUERY$,
    atable
  );

  EXECUTE FORMAT(
    $QUERY$
    CREATE INDEX IF NOT EXISTS %I ON pgmq.%I (vt ASC);
    $QUERY$,
    qtable || '_vt_idx', qtable
  );

  EXECUTE FORMAT(
    $QUERY$
    CREATE INDEX IF NOT EXISTS %I ON pgmq.%I (archived_at);
    $QUERY$,
    'archived_at_idx_' || queue_name, atable
  );

  EXECUTE FORMAT(
    $QUERY$
    INSERT INTO pgmq.meta (queue_name, is_partitioned, is_unlogged)
    VALUES (%L, false, true)
    ON CONFLICT
    DO NOTHING;
    $QUERY$,
    queue_name
  );
END;
$_$;


--
-- Name: delete(text, bigint[]); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.delete(queue_name text, msg_ids bigint[]) RETURNS SETOF bigint
    LANGUAGE plpgsql
    AS $_$
DECLARE
    sql TEXT;
    qtable TEXT := pgmq.format_table_name(queue_name, 'q');
BEGIN
    sql := FORMAT(
        $QUERY$
        DELETE FROM pgmq.%I
        WHERE msg_id = ANY($1)
        RETURNING msg_id
        $QUERY$,
        qtable
    );
    RETURN QUERY EXECUTE sql USING msg_ids;
END;
$_$;


--
-- Name: delete(text, bigint); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.delete(queue_name text, msg_id bigint) RETURNS boolean
    LANGUAGE plpgsql
    AS $_$
DECLARE
    sql TEXT;
    result BIGINT;
    qtable TEXT := pgmq.format_table_name(queue_name, 'q');
BEGIN
    sql := FORMAT(
        $QUERY$
        DELETE FROM pgmq.%I
        WHERE msg_id = $1
        RETURNING msg_id
        $QUERY$,
        qtable
    );
    EXECUTE sql USING msg_id INTO result;
    RETURN NOT (result IS NULL);
END;
$_$;


--
-- Name: detach_archive(text); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.detach_archive(queue_name text) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
  atable TEXT := pgmq.format_table_name(queue_name, 'a');
BEGIN
  RAISE WARNING 'detach_archive(queue_name) is deprecated and is a no-op. It will be removed in PGMQ v2.0. Archive tables are no longer member objects.';
END
$$;


--
-- Name: disable_notify_insert(text); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.disable_notify_insert(queue_name text) RETURNS void
    LANGUAGE plpgsql
    AS $_$
DECLARE
  qtable TEXT := pgmq.format_table_name(queue_name, 'q');
  v_queue_name TEXT := queue_name;
BEGIN
  EXECUTE FORMAT(
    $QUERY$
    DROP TRIGGER IF EXISTS trigger_notify_queue_insert_listeners ON pgmq.%I;
    $QUERY$,
    qtable
  );

  DELETE FROM pgmq.notify_insert_throttle nit WHERE nit.queue_name = v_queue_name;
END;
$_$;


--
-- Name: drop_queue(text); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.drop_queue(queue_name text) RETURNS boolean
    LANGUAGE plpgsql
    AS $_$
DECLARE
    qtable TEXT := pgmq.format_table_name(queue_name, 'q');
    qtable_seq TEXT := qtable || '_msg_id_seq';
    fq_qtable TEXT := 'pgmq.' || qtable;
    atable TEXT := pgmq.format_table_name(queue_name, 'a');
    fq_atable TEXT := 'pgmq.' || atable;
    partitioned BOOLEAN;
BEGIN
    PERFORM pgmq.acquire_queue_lock(queue_name);
    EXECUTE FORMAT(
        $QUERY$
        SELECT is_partitioned FROM pgmq.meta WHERE queue_name = %L
        $QUERY$,
        queue_name
    ) INTO partitioned;

    -- check if the queue exists
    IF NOT EXISTS (
        SELECT 1
        FROM information_schema.tables
        WHERE table_name = qtable and table_schema = 'pgmq'
    ) THEN
        RAISE NOTICE 'pgmq queue `%` does not exist', queue_name;
        RETURN FALSE;
    END IF;

    EXECUTE FORMAT(
        $QUERY$
        DROP TABLE IF EXISTS pgmq.%I
        $QUERY$,
        qtable
    );

    EXECUTE FORMAT(
        $QUERY$
        DROP TABLE IF EXISTS pgmq.%I
        $QUERY$,
        atable
    );

     IF EXISTS (
          SELECT 1
          FROM information_schema.tables
          WHERE table_name = 'meta' and table_schema = 'pgmq'
     ) THEN
        EXECUTE FORMAT(
            $QUERY$
            DELETE FROM pgmq.meta WHERE queue_name = %L
            $QUERY$,
            queue_name
        );
     END IF;

     IF partitioned THEN
        EXECUTE FORMAT(
          $QUERY$
          DELETE FROM %I.part_config where parent_table in (%L, %L)
          $QUERY$,
          pgmq._get_pg_partman_schema(), fq_qtable, fq_atable
        );
     END IF;

    RETURN TRUE;
END;
$_$;


--
-- Name: drop_queue(text, boolean); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.drop_queue(queue_name text, partitioned boolean) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    qtable TEXT := pgmq.format_table_name(queue_name, 'q');
    fq_qtable TEXT := 'pgmq.' || qtable;
    atable TEXT := pgmq.format_table_name(queue_name, 'a');
    fq_atable TEXT := 'pgmq.' || atable;
BEGIN
    RAISE WARNING 'drop_queue(queue_name, partitioned) is deprecated and will be removed in PGMQ v2.0. Use drop_queue(queue_name) instead';

    PERFORM pgmq.drop_queue(queue_name);

    RETURN TRUE;
END;
$$;


--
-- Name: enable_notify_insert(text, integer); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.enable_notify_insert(queue_name text, throttle_interval_ms integer DEFAULT 250) RETURNS void
    LANGUAGE plpgsql
    AS $_$
DECLARE
  qtable TEXT := pgmq.format_table_name(queue_name, 'q');
  v_queue_name TEXT := queue_name;
  v_throttle_interval_ms INTEGER := throttle_interval_ms;
BEGIN
  -- Validate that throttle_interval_ms is non-negative
  IF v_throttle_interval_ms < 0 THEN
    RAISE EXCEPTION 'throttle_interval_ms must be non-negative';
  END IF;

  -- Validate that the queue table exists
  IF NOT EXISTS (SELECT 1 FROM information_schema.tables WHERE table_schema = 'pgmq' AND table_name = qtable) THEN
    RAISE EXCEPTION 'Queue "%" does not exist. Create it first using pgmq.create()', v_queue_name;
  END IF;

  PERFORM pgmq.disable_notify_insert(v_queue_name);

  INSERT INTO pgmq.notify_insert_throttle (queue_name, throttle_interval_ms)
  VALUES (v_queue_name, v_throttle_interval_ms)
  ON CONFLICT ON CONSTRAINT notify_insert_throttle_queue_name_key DO UPDATE
      SET throttle_interval_ms = EXCLUDED.throttle_interval_ms,
          last_notified_at = to_timestamp(0);

  EXECUTE FORMAT(
    $QUERY$
    CREATE CONSTRAINT TRIGGER trigger_notify_queue_insert_listeners
    AFTER INSERT ON pgmq.%I
    DEFERRABLE FOR EACH ROW
    EXECUTE PROCEDURE pgmq.notify_queue_listeners()
    $QUERY$,
    qtable
  );
END;
$_$;


--
-- Name: format_table_name(text, text); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.format_table_name(queue_name text, prefix text) RETURNS text
    LANGUAGE plpgsql
    AS $_$
BEGIN
    IF queue_name ~ '\$|;|--|'''
    THEN
        RAISE EXCEPTION 'queue name contains invalid characters: $, ;, --, or \''';
    END IF;
    RETURN lower(prefix || '_' || queue_name);
END;
$_$;


--
-- Name: list_notify_insert_throttles(); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.list_notify_insert_throttles() RETURNS TABLE(queue_name text, throttle_interval_ms integer, last_notified_at timestamp with time zone)
    LANGUAGE sql STABLE
    AS $$
    SELECT queue_name, throttle_interval_ms, last_notified_at
    FROM pgmq.notify_insert_throttle
    ORDER BY queue_name;
$$;


--
-- Name: list_queues(); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.list_queues() RETURNS SETOF pgmq.queue_record
    LANGUAGE plpgsql
    AS $$
BEGIN
  RETURN QUERY SELECT * FROM pgmq.meta;
END
$$;


--
-- Name: list_topic_bindings(); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.list_topic_bindings() RETURNS TABLE(pattern text, queue_name text, bound_at timestamp with time zone, compiled_regex text)
    LANGUAGE sql STABLE
    AS $$
    SELECT pattern, queue_name, bound_at, compiled_regex
    FROM pgmq.topic_bindings
    ORDER BY bound_at DESC, pattern, queue_name;
$$;


--
-- Name: list_topic_bindings(text); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.list_topic_bindings(queue_name text) RETURNS TABLE(pattern text, queue_name text, bound_at timestamp with time zone, compiled_regex text)
    LANGUAGE sql STABLE
    AS $$
    SELECT pattern, tb.queue_name, bound_at, compiled_regex
    FROM pgmq.topic_bindings tb
    WHERE tb.queue_name = list_topic_bindings.queue_name
    ORDER BY bound_at DESC, pattern;
$$;


--
-- Name: metrics(text); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.metrics(queue_name text) RETURNS pgmq.metrics_result
    LANGUAGE plpgsql
    AS $_$
DECLARE
    result_row pgmq.metrics_result;
    query TEXT;
    qtable TEXT := pgmq.format_table_name(queue_name, 'q');
    q_default_partition TEXT := qtable || '_default';
    a_default_partition TEXT := pgmq.format_table_name(queue_name, 'a') || '_default';
    default_partition_length BIGINT;
BEGIN
    -- Only partitioned queues have default partitions. Messages in them have no
    -- partition of their own, which means pg_partman maintenance is failing for
    -- this queue; a non-zero value here is the signal to act on. The planner's
    -- estimate is used so that a large spill does not slow down every scrape.
    IF to_regclass(FORMAT('pgmq.%I', q_default_partition)) IS NOT NULL THEN
        SELECT COALESCE(SUM(GREATEST(c.reltuples, 0))::bigint, 0)
        INTO default_partition_length
        FROM pg_class c
        WHERE c.oid IN (
            to_regclass(FORMAT('pgmq.%I', q_default_partition)),
            to_regclass(FORMAT('pgmq.%I', a_default_partition))
        );
    END IF;

    query := FORMAT(
        $QUERY$
        WITH q_summary AS (
            SELECT
                count(*) as queue_length,
                count(CASE WHEN vt <= NOW() THEN 1 END) as queue_visible_length,
                EXTRACT(epoch FROM (NOW() - max(enqueued_at)))::int as newest_msg_age_sec,
                EXTRACT(epoch FROM (NOW() - min(enqueued_at)))::int as oldest_msg_age_sec,
                NOW() as scrape_time
            FROM pgmq.%I
        ),
        all_metrics AS (
            SELECT CASE
                WHEN is_called THEN last_value ELSE 0
                END as total_messages
            FROM pgmq.%I
        )
        SELECT
            %L as queue_name,
            q_summary.queue_length,
            q_summary.newest_msg_age_sec,
            q_summary.oldest_msg_age_sec,
            all_metrics.total_messages,
            q_summary.scrape_time,
            q_summary.queue_visible_length,
            %L::bigint as default_partition_length
        FROM q_summary, all_metrics
        $QUERY$,
        qtable, qtable || '_msg_id_seq', queue_name, default_partition_length
    );
    EXECUTE query INTO result_row;
    RETURN result_row;
END;
$_$;


--
-- Name: metrics_all(); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.metrics_all() RETURNS SETOF pgmq.metrics_result
    LANGUAGE plpgsql
    AS $$
DECLARE
    row_name RECORD;
    result_row pgmq.metrics_result;
BEGIN
    FOR row_name IN SELECT queue_name FROM pgmq.meta LOOP
        result_row := pgmq.metrics(row_name.queue_name);
        RETURN NEXT result_row;
    END LOOP;
END;
$$;


--
-- Name: notify_queue_listeners(); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.notify_queue_listeners() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
  queue_name_extracted TEXT; -- Queue name extracted from trigger table name
  updated_count        INTEGER; -- Number of rows updated (0 or 1)
BEGIN
  queue_name_extracted := substring(TG_TABLE_NAME from 3);

  UPDATE pgmq.notify_insert_throttle
  SET last_notified_at = clock_timestamp()
  WHERE queue_name = queue_name_extracted
    AND (
      throttle_interval_ms = 0 -- No throttling configured
          OR clock_timestamp() - last_notified_at >=
             (throttle_interval_ms * INTERVAL '1 millisecond') -- Throttle interval has elapsed
    );

  -- Check how many rows were updated (will be 0 or 1)
  GET DIAGNOSTICS updated_count = ROW_COUNT;

  IF updated_count > 0 THEN
    PERFORM PG_NOTIFY('pgmq.' || TG_TABLE_NAME || '.' || TG_OP, NULL);
  END IF;

RETURN NEW;
END;
$$;


--
-- Name: pop(text, integer); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.pop(queue_name text, qty integer DEFAULT 1) RETURNS SETOF pgmq.message_record
    LANGUAGE plpgsql
    AS $_$
DECLARE
    sql TEXT;
    result pgmq.message_record;
    qtable TEXT := pgmq.format_table_name(queue_name, 'q');
BEGIN
    sql := FORMAT(
        $QUERY$
        WITH cte AS
            (
                SELECT msg_id
                FROM pgmq.%I
                WHERE vt <= clock_timestamp()
                ORDER BY msg_id ASC
                LIMIT $1
                FOR UPDATE SKIP LOCKED
            )
        DELETE from pgmq.%I
        WHERE msg_id IN (select msg_id from cte)
        RETURNING msg_id, read_ct, enqueued_at, last_read_at, vt, message, headers;
        $QUERY$,
        qtable, qtable
    );
    RETURN QUERY EXECUTE sql USING qty;
END;
$_$;


--
-- Name: purge_queue(text); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.purge_queue(queue_name text) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
DECLARE
  deleted_count INTEGER;
  qtable TEXT := pgmq.format_table_name(queue_name, 'q');
BEGIN
  -- Get the row count before truncating
  EXECUTE format('SELECT count(*) FROM pgmq.%I', qtable) INTO deleted_count;

  -- Use TRUNCATE for better performance on large tables
  EXECUTE format('TRUNCATE TABLE pgmq.%I', qtable);

  -- Return the number of purged rows
  RETURN deleted_count;
END
$$;


--
-- Name: read(text, integer, integer, jsonb); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.read(queue_name text, vt integer, qty integer, conditional jsonb DEFAULT '{}'::jsonb) RETURNS SETOF pgmq.message_record
    LANGUAGE plpgsql
    AS $_$
DECLARE
    sql TEXT;
    qtable TEXT := pgmq.format_table_name(queue_name, 'q');
BEGIN
    sql := FORMAT(
        $QUERY$
        WITH cte AS
        (
            SELECT msg_id
            FROM pgmq.%I
            WHERE vt <= clock_timestamp() AND CASE
                WHEN %L != '{}'::jsonb THEN (message @> %2$L)::integer
                ELSE 1
            END = 1
            ORDER BY msg_id ASC
            LIMIT $1
            FOR UPDATE SKIP LOCKED
        )
        UPDATE pgmq.%I m
        SET
            last_read_at = clock_timestamp(),
            vt = clock_timestamp() + %L,
            read_ct = read_ct + 1
        FROM cte
        WHERE m.msg_id = cte.msg_id
        RETURNING m.msg_id, m.read_ct, m.enqueued_at, m.last_read_at, m.vt, m.message, m.headers;
        $QUERY$,
        qtable, conditional, qtable, make_interval(secs => vt)
    );
    RETURN QUERY EXECUTE sql USING qty;
END;
$_$;


--
-- Name: read_grouped(text, integer, integer); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.read_grouped(queue_name text, vt integer, qty integer) RETURNS SETOF pgmq.message_record
    LANGUAGE plpgsql
    AS $_$
DECLARE
    sql TEXT;
    qtable TEXT := pgmq.format_table_name(queue_name, 'q');
BEGIN
    sql := FORMAT(
        $QUERY$
        WITH fifo_groups AS (
            -- Find the minimum msg_id for each FIFO group that's ready to be processed
            SELECT
                COALESCE(headers->>'x-pgmq-group', '_default_fifo_group') as fifo_key,
                MIN(msg_id) as min_msg_id
            FROM pgmq.%I
            WHERE vt <= clock_timestamp()
            GROUP BY COALESCE(headers->>'x-pgmq-group', '_default_fifo_group')
        ),
        locked_groups AS (
            -- Lock the first available message in each FIFO group
            SELECT
                m.msg_id,
                fg.fifo_key
            FROM pgmq.%I m
            INNER JOIN fifo_groups fg ON
                COALESCE(m.headers->>'x-pgmq-group', '_default_fifo_group') = fg.fifo_key
                AND m.msg_id = fg.min_msg_id
            WHERE m.vt <= clock_timestamp()
            ORDER BY m.msg_id ASC
            FOR UPDATE SKIP LOCKED
        ),
        group_priorities AS (
            -- Assign priority to groups based on their oldest message
            SELECT
                fifo_key,
                msg_id as min_msg_id,
                ROW_NUMBER() OVER (ORDER BY msg_id) as group_priority
            FROM locked_groups
        ),
        filtered_groups as (
            SELECT * FROM group_priorities gp
            WHERE NOT EXISTS (
                -- Ensure no earlier message in this group is currently being processed
                SELECT 1
                FROM pgmq.%I m2
                WHERE COALESCE(m2.headers->>'x-pgmq-group', '_default_fifo_group') = gp.fifo_key
                AND m2.vt > clock_timestamp()
                AND m2.msg_id < gp.min_msg_id
            )
        ),
        available_messages as (
            SELECT gp.fifo_key, t.msg_id,gp.group_priority,
                ROW_NUMBER() OVER (PARTITION BY gp.fifo_key ORDER BY t.msg_id) as msg_rank_in_group
            FROM filtered_groups gp
            CROSS JOIN LATERAL (
                SELECT *
                FROM pgmq.%I t
                WHERE COALESCE(t.headers->>'x-pgmq-group', '_default_fifo_group') = gp.fifo_key
                AND t.vt <= clock_timestamp()
                ORDER BY msg_id
                LIMIT $1  -- tip to limit query impact, we know we need at most qty in each group
            ) t
            ORDER BY gp.group_priority
        ),
        batch_selection AS (
            -- Select messages to fill batch, prioritizing earliest group
            SELECT
                msg_id,
                ROW_NUMBER() OVER (ORDER BY group_priority, msg_rank_in_group) as overall_rank
            FROM available_messages
        ),
        selected_messages AS (
            -- Limit to requested quantity
            SELECT msg_id
            FROM batch_selection
            WHERE overall_rank <= $1
            ORDER BY msg_id
            FOR UPDATE SKIP LOCKED
        )
        UPDATE pgmq.%I m
        SET
            vt = clock_timestamp() + %L,
            read_ct = read_ct + 1,
            last_read_at = clock_timestamp()
        FROM selected_messages sm
        WHERE m.msg_id = sm.msg_id
        RETURNING m.msg_id, m.read_ct, m.enqueued_at, m.last_read_at, m.vt, m.message, m.headers;
        $QUERY$,
        qtable, qtable, qtable, qtable, qtable, make_interval(secs => vt)
    );
    RETURN QUERY EXECUTE sql USING qty;
END;
$_$;


--
-- Name: read_grouped_head(text, integer, integer); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.read_grouped_head(queue_name text, vt integer, qty integer) RETURNS SETOF pgmq.message_record
    LANGUAGE plpgsql
    AS $_$
DECLARE
    sql TEXT;
    qtable TEXT := pgmq.format_table_name(queue_name, 'q');
BEGIN
    sql := FORMAT(
        $QUERY$
        WITH fifo_groups AS (
            -- Determine the absolute head (oldest) message id per FIFO group, regardless of visibility
            SELECT
                COALESCE(headers->>'x-pgmq-group', '_default_fifo_group') AS fifo_key,
                MIN(msg_id) AS head_msg_id
            FROM pgmq.%1$I
            GROUP BY COALESCE(headers->>'x-pgmq-group', '_default_fifo_group')
        ),
        selected_messages AS (
            -- Take at most 1 message per group
            SELECT g.head_msg_id msg_id
            FROM fifo_groups g
            JOIN pgmq.%1$I q ON q.msg_id = g.head_msg_id
	        WHERE q.vt <= clock_timestamp()
            ORDER BY q.msg_id
            LIMIT $1
            FOR UPDATE SKIP LOCKED
        )
        UPDATE pgmq.%1$I m
        SET
            vt = clock_timestamp() + %2$L,
            read_ct = read_ct + 1,
            last_read_at = clock_timestamp()
        FROM selected_messages sm
        WHERE m.msg_id = sm.msg_id
        RETURNING m.msg_id, m.read_ct, m.enqueued_at, m.last_read_at, m.vt, m.message, m.headers;
        $QUERY$,
        qtable, make_interval(secs => vt)
    );
    RETURN QUERY EXECUTE sql USING qty;
END;
$_$;


--
-- Name: read_grouped_head_with_poll(text, integer, integer, integer, integer); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.read_grouped_head_with_poll(queue_name text, vt integer, qty integer, max_poll_seconds integer DEFAULT 5, poll_interval_ms integer DEFAULT 100) RETURNS SETOF pgmq.message_record
    LANGUAGE plpgsql
    AS $$
DECLARE
    r pgmq.message_record;
    stop_at TIMESTAMPTZ;
BEGIN
    stop_at := clock_timestamp() + make_interval(secs => max_poll_seconds);
    LOOP
      IF clock_timestamp() >= stop_at THEN
        RETURN;
      END IF;

      FOR r IN
        SELECT * FROM pgmq.read_grouped_head(queue_name, vt, qty)
      LOOP
        RETURN NEXT r;
      END LOOP;
      IF FOUND THEN
        RETURN;
      ELSE
        PERFORM pg_sleep(poll_interval_ms::numeric / 1000);
      END IF;
    END LOOP;
END;
$$;


--
-- Name: read_grouped_rr(text, integer, integer); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.read_grouped_rr(queue_name text, vt integer, qty integer) RETURNS SETOF pgmq.message_record
    LANGUAGE plpgsql
    AS $_$
DECLARE
    sql TEXT;
    qtable TEXT := pgmq.format_table_name(queue_name, 'q');
BEGIN
    sql := FORMAT(
        $QUERY$
        WITH fifo_groups AS (
            -- Determine the absolute head (oldest) message id per FIFO group, regardless of visibility
            SELECT
                COALESCE(headers->>'x-pgmq-group', '_default_fifo_group') AS fifo_key,
                MIN(msg_id) AS head_msg_id
            FROM pgmq.%1$I
            GROUP BY COALESCE(headers->>'x-pgmq-group', '_default_fifo_group')
        ),
        eligible_groups AS (
            -- Only groups whose head message is currently visible
            -- Acquire a transaction-level advisory lock per group to prevent concurrent selection
            SELECT
                g.fifo_key,
                g.head_msg_id,
                ROW_NUMBER() OVER (ORDER BY g.head_msg_id) AS group_priority
            FROM fifo_groups g
            JOIN pgmq.%2$I h ON h.msg_id = g.head_msg_id
            WHERE h.vt <= clock_timestamp()
              AND pg_try_advisory_xact_lock(pg_catalog.hashtextextended(g.fifo_key, 0))
        ),
        available_messages AS (
            -- All currently visible messages starting at the head for each eligible group
            SELECT
                m.msg_id,
                eg.group_priority,
                ROW_NUMBER() OVER (
                    PARTITION BY eg.fifo_key
                    ORDER BY m.msg_id
                ) AS msg_rank_in_group
            FROM pgmq.%3$I m
            JOIN eligible_groups eg
              ON COALESCE(m.headers->>'x-pgmq-group', '_default_fifo_group') = eg.fifo_key
            WHERE m.vt <= clock_timestamp()
              AND m.msg_id >= eg.head_msg_id
        ),
        ordered_messages AS (
            -- Layered round-robin: take rank 1 of all groups by group_priority, then rank 2, etc.
            -- Assign selection order before locking
            SELECT msg_id, ROW_NUMBER() OVER (ORDER BY msg_rank_in_group, group_priority) as selection_order
            FROM available_messages
        ),
        selected_messages AS (
            -- Lock the messages in the correct order, preserving selection_order
            SELECT om.msg_id, om.selection_order
            FROM ordered_messages om
            JOIN pgmq.%4$I m ON m.msg_id = om.msg_id
            WHERE om.selection_order <= $1
            ORDER BY om.selection_order
            FOR UPDATE OF m SKIP LOCKED
        ),
        updated_messages AS (
            UPDATE pgmq.%5$I m
            SET
                vt = clock_timestamp() + %6$L,
                read_ct = read_ct + 1,
                last_read_at = clock_timestamp()
            FROM selected_messages sm
            WHERE m.msg_id = sm.msg_id
              AND m.vt <= clock_timestamp() -- final guard to avoid duplicate reads under races
            RETURNING m.msg_id, m.read_ct, m.enqueued_at, m.last_read_at, m.vt, m.message, m.headers, sm.selection_order
        )
        SELECT msg_id, read_ct, enqueued_at, last_read_at, vt, message, headers
        FROM updated_messages
        ORDER BY selection_order;
        $QUERY$,
        qtable, qtable, qtable, qtable, qtable, make_interval(secs => vt)
    );
    RETURN QUERY EXECUTE sql USING qty;
END;
$_$;


--
-- Name: read_grouped_rr_with_poll(text, integer, integer, integer, integer); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.read_grouped_rr_with_poll(queue_name text, vt integer, qty integer, max_poll_seconds integer DEFAULT 5, poll_interval_ms integer DEFAULT 100) RETURNS SETOF pgmq.message_record
    LANGUAGE plpgsql
    AS $$
DECLARE
    r pgmq.message_record;
    stop_at TIMESTAMP;
BEGIN
    stop_at := clock_timestamp() + make_interval(secs => max_poll_seconds);
    LOOP
      IF (SELECT clock_timestamp() >= stop_at) THEN
        RETURN;
      END IF;

      FOR r IN
        SELECT * FROM pgmq.read_grouped_rr(queue_name, vt, qty)
      LOOP
        RETURN NEXT r;
      END LOOP;
      IF FOUND THEN
        RETURN;
      ELSE
        PERFORM pg_sleep(poll_interval_ms::numeric / 1000);
      END IF;
    END LOOP;
END;
$$;


--
-- Name: read_grouped_with_poll(text, integer, integer, integer, integer); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.read_grouped_with_poll(queue_name text, vt integer, qty integer, max_poll_seconds integer DEFAULT 5, poll_interval_ms integer DEFAULT 100) RETURNS SETOF pgmq.message_record
    LANGUAGE plpgsql
    AS $$
DECLARE
    r pgmq.message_record;
    stop_at TIMESTAMP;
BEGIN
    stop_at := clock_timestamp() + make_interval(secs => max_poll_seconds);
    LOOP
      IF (SELECT clock_timestamp() >= stop_at) THEN
        RETURN;
      END IF;

      FOR r IN
        SELECT * FROM pgmq.read_grouped(queue_name, vt, qty)
      LOOP
        RETURN NEXT r;
      END LOOP;
      IF FOUND THEN
        RETURN;
      ELSE
        PERFORM pg_sleep(poll_interval_ms::numeric / 1000);
      END IF;
    END LOOP;
END;
$$;


--
-- Name: read_with_poll(text, integer, integer, integer, integer, jsonb); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.read_with_poll(queue_name text, vt integer, qty integer, max_poll_seconds integer DEFAULT 5, poll_interval_ms integer DEFAULT 100, conditional jsonb DEFAULT '{}'::jsonb) RETURNS SETOF pgmq.message_record
    LANGUAGE plpgsql
    AS $_$
DECLARE
    r pgmq.message_record;
    stop_at TIMESTAMP;
    sql TEXT;
    qtable TEXT := pgmq.format_table_name(queue_name, 'q');
BEGIN
    stop_at := clock_timestamp() + make_interval(secs => max_poll_seconds);
    LOOP
      IF (SELECT clock_timestamp() >= stop_at) THEN
        RETURN;
      END IF;

      sql := FORMAT(
          $QUERY$
          WITH cte AS
          (
              SELECT msg_id
              FROM pgmq.%I
              WHERE vt <= clock_timestamp() AND CASE
                  WHEN %L != '{}'::jsonb THEN (message @> %2$L)::integer
                  ELSE 1
              END = 1
              ORDER BY msg_id ASC
              LIMIT $1
              FOR UPDATE SKIP LOCKED
          )
          UPDATE pgmq.%I m
          SET
              last_read_at = clock_timestamp(),
              vt = clock_timestamp() + %L,
              read_ct = read_ct + 1
          FROM cte
          WHERE m.msg_id = cte.msg_id
          RETURNING m.msg_id, m.read_ct, m.enqueued_at, m.last_read_at, m.vt, m.message, m.headers;
          $QUERY$,
          qtable, conditional, qtable, make_interval(secs => vt)
      );

      FOR r IN
        EXECUTE sql USING qty
      LOOP
        RETURN NEXT r;
      END LOOP;
      IF FOUND THEN
        RETURN;
      ELSE
        PERFORM pg_sleep(poll_interval_ms::numeric / 1000);
      END IF;
    END LOOP;
END;
$_$;


--
-- Name: send(text, jsonb); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.send(queue_name text, msg jsonb) RETURNS SETOF bigint
    LANGUAGE sql
    AS $$
    SELECT * FROM pgmq.send(queue_name, msg, NULL, clock_timestamp());
$$;


--
-- Name: send(text, jsonb, integer); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.send(queue_name text, msg jsonb, delay integer) RETURNS SETOF bigint
    LANGUAGE sql
    AS $$
    SELECT * FROM pgmq.send(queue_name, msg, NULL, clock_timestamp() + make_interval(secs => delay));
$$;


--
-- Name: send(text, jsonb, jsonb); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.send(queue_name text, msg jsonb, headers jsonb) RETURNS SETOF bigint
    LANGUAGE sql
    AS $$
    SELECT * FROM pgmq.send(queue_name, msg, headers, clock_timestamp());
$$;


--
-- Name: send(text, jsonb, timestamp with time zone); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.send(queue_name text, msg jsonb, delay timestamp with time zone) RETURNS SETOF bigint
    LANGUAGE sql
    AS $$
    SELECT * FROM pgmq.send(queue_name, msg, NULL, delay);
$$;


--
-- Name: send(text, jsonb, jsonb, integer); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.send(queue_name text, msg jsonb, headers jsonb, delay integer) RETURNS SETOF bigint
    LANGUAGE sql
    AS $$
    SELECT * FROM pgmq.send(queue_name, msg, headers, clock_timestamp() + make_interval(secs => delay));
$$;


--
-- Name: send(text, jsonb, jsonb, timestamp with time zone); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.send(queue_name text, msg jsonb, headers jsonb, delay timestamp with time zone) RETURNS SETOF bigint
    LANGUAGE plpgsql
    AS $_$
DECLARE
    sql TEXT;
    qtable TEXT := pgmq.format_table_name(queue_name, 'q');
BEGIN
    sql := FORMAT(
            $QUERY$
        INSERT INTO pgmq.%I (vt, message, headers)
        VALUES ($2, $1, $3)
        RETURNING msg_id;
        $QUERY$,
            qtable
           );
    RETURN QUERY EXECUTE sql USING msg, delay, headers;
END;
$_$;


--
-- Name: send_batch(text, jsonb[]); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.send_batch(queue_name text, msgs jsonb[]) RETURNS SETOF bigint
    LANGUAGE sql
    AS $$
    SELECT * FROM pgmq.send_batch(queue_name, msgs, NULL, clock_timestamp());
$$;


--
-- Name: send_batch(text, jsonb[], jsonb[]); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.send_batch(queue_name text, msgs jsonb[], headers jsonb[]) RETURNS SETOF bigint
    LANGUAGE sql
    AS $$
    SELECT * FROM pgmq.send_batch(queue_name, msgs, headers, clock_timestamp());
$$;


--
-- Name: send_batch(text, jsonb[], integer); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.send_batch(queue_name text, msgs jsonb[], delay integer) RETURNS SETOF bigint
    LANGUAGE sql
    AS $$
    SELECT * FROM pgmq.send_batch(queue_name, msgs, NULL, clock_timestamp() + make_interval(secs => delay));
$$;


--
-- Name: send_batch(text, jsonb[], timestamp with time zone); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.send_batch(queue_name text, msgs jsonb[], delay timestamp with time zone) RETURNS SETOF bigint
    LANGUAGE sql
    AS $$
    SELECT * FROM pgmq.send_batch(queue_name, msgs, NULL, delay);
$$;


--
-- Name: send_batch(text, jsonb[], jsonb[], integer); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.send_batch(queue_name text, msgs jsonb[], headers jsonb[], delay integer) RETURNS SETOF bigint
    LANGUAGE sql
    AS $$
    SELECT * FROM pgmq.send_batch(queue_name, msgs, headers, clock_timestamp() + make_interval(secs => delay));
$$;


--
-- Name: send_batch(text, jsonb[], jsonb[], timestamp with time zone); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.send_batch(queue_name text, msgs jsonb[], headers jsonb[], delay timestamp with time zone) RETURNS SETOF bigint
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM pgmq._validate_batch_params(msgs, headers);
    RETURN QUERY SELECT * FROM pgmq._send_batch(queue_name, msgs, headers, delay);
END;
$$;


--
-- Name: send_batch_topic(text, jsonb[]); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.send_batch_topic(routing_key text, msgs jsonb[]) RETURNS TABLE(queue_name text, msg_id bigint)
    LANGUAGE sql
    AS $$
    SELECT * FROM pgmq.send_batch_topic(routing_key, msgs, NULL, clock_timestamp());
$$;


--
-- Name: send_batch_topic(text, jsonb[], jsonb[]); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.send_batch_topic(routing_key text, msgs jsonb[], headers jsonb[]) RETURNS TABLE(queue_name text, msg_id bigint)
    LANGUAGE sql
    AS $$
    SELECT * FROM pgmq.send_batch_topic(routing_key, msgs, headers, clock_timestamp());
$$;


--
-- Name: send_batch_topic(text, jsonb[], integer); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.send_batch_topic(routing_key text, msgs jsonb[], delay integer) RETURNS TABLE(queue_name text, msg_id bigint)
    LANGUAGE sql
    AS $$
    SELECT * FROM pgmq.send_batch_topic(routing_key, msgs, NULL, clock_timestamp() + make_interval(secs => delay));
$$;


--
-- Name: send_batch_topic(text, jsonb[], timestamp with time zone); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.send_batch_topic(routing_key text, msgs jsonb[], delay timestamp with time zone) RETURNS TABLE(queue_name text, msg_id bigint)
    LANGUAGE sql
    AS $$
    SELECT * FROM pgmq.send_batch_topic(routing_key, msgs, NULL, delay);
$$;


--
-- Name: send_batch_topic(text, jsonb[], jsonb[], integer); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.send_batch_topic(routing_key text, msgs jsonb[], headers jsonb[], delay integer) RETURNS TABLE(queue_name text, msg_id bigint)
    LANGUAGE sql
    AS $$
    SELECT * FROM pgmq.send_batch_topic(routing_key, msgs, headers, clock_timestamp() + make_interval(secs => delay));
$$;


--
-- Name: send_batch_topic(text, jsonb[], jsonb[], timestamp with time zone); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.send_batch_topic(routing_key text, msgs jsonb[], headers jsonb[], delay timestamp with time zone) RETURNS TABLE(queue_name text, msg_id bigint)
    LANGUAGE plpgsql
    AS $$
DECLARE
    b RECORD;
BEGIN
    PERFORM pgmq.validate_routing_key(routing_key);

    -- Validate batch parameters once (not per queue)
    PERFORM pgmq._validate_batch_params(msgs, headers);

    -- Filter matching patterns in SQL for better performance (uses index)
    -- Any failure will rollback the entire transaction
    FOR b IN
        SELECT DISTINCT tb.queue_name
        FROM pgmq.topic_bindings tb
        WHERE routing_key ~ tb.compiled_regex
        ORDER BY tb.queue_name -- Deterministic ordering, deduplicated by queue_name
        LOOP
            -- Use private _send_batch to avoid redundant validation
            RETURN QUERY
            SELECT b.queue_name, batch_result.msg_id
            FROM pgmq._send_batch(b.queue_name, msgs, headers, delay) AS batch_result(msg_id);
        END LOOP;

    RETURN;
END;
$$;


--
-- Name: send_topic(text, jsonb); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.send_topic(routing_key text, msg jsonb) RETURNS integer
    LANGUAGE plpgsql
    AS $$
BEGIN
    RETURN pgmq.send_topic(routing_key, msg, NULL, 0);
END;
$$;


--
-- Name: send_topic(text, jsonb, integer); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.send_topic(routing_key text, msg jsonb, delay integer) RETURNS integer
    LANGUAGE plpgsql
    AS $$
BEGIN
    RETURN pgmq.send_topic(routing_key, msg, NULL, delay);
END;
$$;


--
-- Name: send_topic(text, jsonb, jsonb, integer); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.send_topic(routing_key text, msg jsonb, headers jsonb, delay integer) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    b             RECORD;
    matched_count integer := 0;
BEGIN
    PERFORM pgmq.validate_routing_key(routing_key);

    IF msg IS NULL THEN
        RAISE EXCEPTION 'msg cannot be NULL';
    END IF;

    IF delay < 0 THEN
        RAISE EXCEPTION 'delay cannot be negative, got: %', delay;
    END IF;

    -- Filter matching patterns in SQL for better performance (uses index)
    -- Any failure will rollback the entire transaction
    FOR b IN
        SELECT DISTINCT tb.queue_name
        FROM pgmq.topic_bindings tb
        WHERE routing_key ~ tb.compiled_regex
        ORDER BY tb.queue_name -- Deterministic ordering, deduplicated by queue_name
        LOOP
            PERFORM pgmq.send(b.queue_name, msg, headers, delay);
            matched_count := matched_count + 1;
        END LOOP;

    RETURN matched_count;
END;
$$;


--
-- Name: set_vt(text, bigint[], integer); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.set_vt(queue_name text, msg_ids bigint[], vt integer) RETURNS SETOF pgmq.message_record
    LANGUAGE sql
    AS $$
    SELECT * FROM pgmq.set_vt(queue_name, msg_ids, clock_timestamp() + make_interval(secs => vt));
$$;


--
-- Name: set_vt(text, bigint[], timestamp with time zone); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.set_vt(queue_name text, msg_ids bigint[], vt timestamp with time zone) RETURNS SETOF pgmq.message_record
    LANGUAGE plpgsql
    AS $_$
DECLARE
    sql TEXT;
    qtable TEXT := pgmq.format_table_name(queue_name, 'q');
BEGIN
    sql := FORMAT(
        $QUERY$
        UPDATE pgmq.%I
        SET vt = $1
        WHERE msg_id = ANY($2)
        RETURNING msg_id, read_ct, enqueued_at, last_read_at, vt, message, headers;
        $QUERY$,
        qtable
    );
    RETURN QUERY EXECUTE sql USING vt, msg_ids;
END;
$_$;


--
-- Name: set_vt(text, bigint, integer); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.set_vt(queue_name text, msg_id bigint, vt integer) RETURNS SETOF pgmq.message_record
    LANGUAGE sql
    AS $$
    SELECT * FROM pgmq.set_vt(queue_name, msg_id, clock_timestamp() + make_interval(secs => vt));
$$;


--
-- Name: set_vt(text, bigint, timestamp with time zone); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.set_vt(queue_name text, msg_id bigint, vt timestamp with time zone) RETURNS SETOF pgmq.message_record
    LANGUAGE plpgsql
    AS $_$
DECLARE
    sql TEXT;
    result pgmq.message_record;
    qtable TEXT := pgmq.format_table_name(queue_name, 'q');
BEGIN
    sql := FORMAT(
        $QUERY$
        UPDATE pgmq.%I
        SET vt = $1
        WHERE msg_id = $2
        RETURNING msg_id, read_ct, enqueued_at, last_read_at, vt, message, headers;
        $QUERY$, 
        qtable
    );
    RETURN QUERY EXECUTE sql USING vt, msg_id;
END;
$_$;


--
-- Name: test_routing(text); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.test_routing(routing_key text) RETURNS TABLE(pattern text, queue_name text, compiled_regex text)
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
    PERFORM pgmq.validate_routing_key(routing_key);
    RETURN QUERY
        SELECT b.pattern,
               b.queue_name,
               b.compiled_regex
        FROM pgmq.topic_bindings b
        WHERE routing_key ~ b.compiled_regex
        ORDER BY b.pattern;
END;
$$;


--
-- Name: unbind_topic(text, text); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.unbind_topic(pattern text, queue_name text) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    rows_deleted integer;
BEGIN
    IF pattern IS NULL OR pattern = '' THEN
        RAISE EXCEPTION 'pattern cannot be NULL or empty';
    END IF;

    IF queue_name IS NULL OR queue_name = '' THEN
        RAISE EXCEPTION 'queue_name cannot be NULL or empty';
    END IF;

    DELETE
    FROM pgmq.topic_bindings
    WHERE topic_bindings.pattern = unbind_topic.pattern
      AND topic_bindings.queue_name = unbind_topic.queue_name;

    GET DIAGNOSTICS rows_deleted = ROW_COUNT;

    IF rows_deleted > 0 THEN
        RETURN true;
    ELSE
        RETURN false;
    END IF;
END;
$$;


--
-- Name: update_notify_insert(text, integer); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.update_notify_insert(queue_name text, throttle_interval_ms integer) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF throttle_interval_ms < 0 THEN
        RAISE EXCEPTION 'throttle_interval_ms must be non-negative, got: %', throttle_interval_ms;
    END IF;

    IF NOT EXISTS (SELECT 1 FROM pgmq.meta WHERE meta.queue_name = update_notify_insert.queue_name) THEN
        RAISE EXCEPTION 'Queue "%" does not exist. Create the queue first using pgmq.create()', queue_name;
    END IF;

    IF NOT EXISTS (SELECT 1 FROM pgmq.notify_insert_throttle WHERE notify_insert_throttle.queue_name = update_notify_insert.queue_name) THEN
        RAISE EXCEPTION 'Queue "%" does not have notify_insert enabled. Enable it first using pgmq.enable_notify_insert()', queue_name;
    END IF;

    UPDATE pgmq.notify_insert_throttle
    SET throttle_interval_ms = update_notify_insert.throttle_interval_ms,
        last_notified_at = to_timestamp(0)
    WHERE notify_insert_throttle.queue_name = update_notify_insert.queue_name;
END;
$$;


--
-- Name: validate_queue_name(text); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.validate_queue_name(queue_name text) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF length(queue_name) > 47 THEN
    -- complete table identifier must be <= 63
    -- https://www.postgresql.org/docs/17/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS
    -- e.g. template_pgmq_q_my_queue is an identifier for my_queue when partitioned
    -- template_pgmq_q_ (16) + <a max length queue name> (47) = 63 
    RAISE EXCEPTION 'queue name is too long, maximum length is 47 characters';
  END IF;
END;
$$;


--
-- Name: validate_routing_key(text); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.validate_routing_key(routing_key text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE
    AS $_$
BEGIN
    -- Valid routing key examples:
    --   "logs.error"
    --   "app.user-service.auth"
    --   "system_events.db.connection_failed"
    --
    -- Invalid routing key examples:
    --   ""                     - empty
    --   ".logs.error"          - starts with dot
    --   "logs.error."          - ends with dot
    --   "logs..error"          - consecutive dots
    --   "logs.error!"          - invalid character
    --   "logs error"           - space not allowed
    --   "logs.*"               - wildcards not allowed in routing keys

    IF routing_key IS NULL OR routing_key = '' THEN
        RAISE EXCEPTION 'routing_key cannot be NULL or empty';
    END IF;

    IF length(routing_key) > 255 THEN
        RAISE EXCEPTION 'routing_key length cannot exceed 255 characters, got % characters', length(routing_key);
    END IF;

    IF routing_key !~ '^[a-zA-Z0-9._-]+$' THEN
        RAISE EXCEPTION 'routing_key contains invalid characters. Only alphanumeric, dots, hyphens, and underscores are allowed. Got: %', routing_key;
    END IF;

    IF routing_key ~ '^\.' THEN
        RAISE EXCEPTION 'routing_key cannot start with a dot. Got: %', routing_key;
    END IF;

    IF routing_key ~ '\.$' THEN
        RAISE EXCEPTION 'routing_key cannot end with a dot. Got: %', routing_key;
    END IF;

    IF routing_key ~ '\.\.' THEN
        RAISE EXCEPTION 'routing_key cannot contain consecutive dots. Got: %', routing_key;
    END IF;

    RETURN true;
END;
$_$;


--
-- Name: validate_topic_pattern(text); Type: FUNCTION; Schema: pgmq; Owner: -
--

CREATE FUNCTION pgmq.validate_topic_pattern(pattern text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE
    AS $_$
BEGIN
    -- Valid pattern examples:
    --   "logs.*"           - matches one segment after logs. (e.g., logs.error, logs.info)
    --   "logs.#"           - matches one or more segments after logs. (e.g., logs.error, logs.api.error)
    --   "*.error"          - matches one segment before .error (e.g., app.error, db.error)
    --   "#.error"          - matches one or more segments before .error (e.g., app.error, x.y.error)
    --   "app.*.#"          - mixed wildcards (one segment then one or more)
    --   "#"                - catch-all pattern, matches any routing key
    --
    -- Invalid pattern examples:
    --   ".logs.*"          - starts with dot
    --   "logs.*."          - ends with dot
    --   "logs..error"      - consecutive dots
    --   "logs.**"          - consecutive stars
    --   "logs.##"          - consecutive hashes
    --   "logs.*#"          - adjacent wildcards
    --   "logs.error!"      - invalid character

    IF pattern IS NULL OR pattern = '' THEN
        RAISE EXCEPTION 'pattern cannot be NULL or empty';
    END IF;

    IF length(pattern) > 255 THEN
        RAISE EXCEPTION 'pattern length cannot exceed 255 characters, got % characters', length(pattern);
    END IF;

    IF pattern !~ '^[a-zA-Z0-9._\-*#]+$' THEN
        RAISE EXCEPTION 'pattern contains invalid characters. Only alphanumeric, dots, hyphens, underscores, *, and # are allowed. Got: %', pattern;
    END IF;

    IF pattern ~ '^\.' THEN
        RAISE EXCEPTION 'pattern cannot start with a dot. Got: %', pattern;
    END IF;

    IF pattern ~ '\.$' THEN
        RAISE EXCEPTION 'pattern cannot end with a dot. Got: %', pattern;
    END IF;

    IF pattern ~ '\.\.' THEN
        RAISE EXCEPTION 'pattern cannot contain consecutive dots. Got: %', pattern;
    END IF;

    IF pattern ~ '\*\*' THEN
        RAISE EXCEPTION 'pattern cannot contain consecutive stars (**). Use # for multi-segment matching. Got: %', pattern;
    END IF;

    IF pattern ~ '##' THEN
        RAISE EXCEPTION 'pattern cannot contain consecutive hashes (##). A single # already matches zero or more segments. Got: %', pattern;
    END IF;

    IF pattern ~ '\*#' OR pattern ~ '#\*' THEN
        RAISE EXCEPTION 'pattern cannot contain adjacent wildcards (*# or #*). Separate wildcards with dots. Got: %', pattern;
    END IF;

    RETURN true;
END;
$_$;


--
-- Name: announce(uuid[], uuid[], text[], boolean, uuid[], uuid[], uuid[]); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.announce(p_ready_tasks uuid[], p_ended_tasks uuid[], p_queues text[], p_timer_set boolean, p_step_uuids uuid[] DEFAULT '{}'::uuid[], p_submitted_tasks uuid[] DEFAULT '{}'::uuid[], p_new_tasks uuid[] DEFAULT '{}'::uuid[]) RETURNS void
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
declare
  v_task_uuid uuid := p_ready_tasks[1];
  v_steps int := cardinality(p_ready_tasks);
  v_namespace text;
  v_payload text;
begin
  -- A lost wake-up costs a polling interval, a durable commit would cost more.
  perform set_config('synchronous_commit', 'off', true);

  if v_steps > 0 and (v_steps = 1 or v_task_uuid = all(p_ready_tasks)) then
    -- One task: what an idle system announces after each step, and so by the shortest way.
    select tp.namespace,
      tasker.readiness_payload(
        t.task_uuid, tp.namespace, t.priority, v_steps, 'step_transition', p_step_uuids[1],
        'complete', t.state::text
      )
    into v_namespace, v_payload
    from tasker.tasks t
    join tasker.templates tp on tp.template_id = t.template_id
    where t.task_uuid = v_task_uuid;
    if found then
      perform pg_notify(tasker.channel('task_ready'), v_payload);
      perform pg_notify(tasker.channel('task_ready', v_namespace), v_payload);
    end if;
  elsif v_steps > 0 then
    perform tasker.announce_ready_tasks(
      array_agg(r.task_uuid), array_agg(r.ready_steps), array_agg(r.step_uuid), 'complete',
      'step_transition'
    )
    from (
      select u.task_uuid, count(*) as ready_steps, min(u.step_uuid::text)::uuid as step_uuid
      from unnest(p_ready_tasks, p_step_uuids) as u(task_uuid, step_uuid)
      where u.task_uuid is not null
      group by u.task_uuid
    ) r;
  end if;
  if p_submitted_tasks <> '{}' then
    perform tasker.announce_submitted_tasks(p_submitted_tasks);
  end if;
  if p_new_tasks <> '{}' then
    perform tasker.announce_task_states(p_new_tasks, 'pending');
  end if;
  if p_ended_tasks <> '{}' then
    perform tasker.announce_task_states(p_ended_tasks);
  end if;
  perform pg_notify('pgmq.q_' || q.name || '.INSERT', '') from unnest(p_queues) as q(name);
  if p_timer_set then
    perform pg_notify(tasker.channel('timer_set'), '{}');
  end if;
end
$$;


--
-- Name: announce_ready_tasks(uuid[], bigint[], uuid[], text, text); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.announce_ready_tasks(p_task_uuids uuid[], p_ready_steps bigint[], p_step_uuids uuid[], p_step_state text, p_triggered_by text) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  perform pg_notify(c.channel, chunk.payload)
  from (
    select n.namespace,
      case count(*)
        when 1 then tasker.readiness_payload(
          min(n.task_uuid::text)::uuid, n.namespace, min(n.priority), min(n.ready_steps),
          p_triggered_by, min(n.step_uuid::text)::uuid, p_step_state, min(n.state)::text
        )
        else format(
          '{"task_count":%s,"namespace":"%s","priority":%s,"ready_steps":%s,"triggered_by":"%s",'
            '"tasks":[%s]}',
          count(*), n.namespace, max(n.priority), sum(n.ready_steps), p_triggered_by,
          string_agg(
            '{"task_uuid":"' || n.task_uuid || '","priority":' || n.priority
              || ',"ready_steps":' || n.ready_steps || ',"task_state":"' || n.state
              || coalesce('","step_uuid":"' || n.step_uuid || '","step_state":"' || p_step_state, '')
              || '"}',
            ',' order by n.task_uuid
          )
        )
      end as payload
    from (
      select r.task_uuid, r.ready_steps, r.step_uuid, t.priority, t.state, tp.namespace,
        (row_number() over (partition by tp.namespace order by r.task_uuid) - 1) / 36 as chunk_no
      from unnest(p_task_uuids, p_ready_steps, p_step_uuids)
        as r(task_uuid, ready_steps, step_uuid)
      -- By their keys, as in tasker.describe_steps().
      cross join lateral (
        select k.state, k.priority, k.template_id from tasker.tasks k
        where k.task_uuid = r.task_uuid
        offset 0
      ) t
      join tasker.templates tp on tp.template_id = t.template_id
    ) n
    group by n.namespace, n.chunk_no
  ) chunk
  cross join lateral (values
    (tasker.channel('task_ready')), (tasker.channel('task_ready', chunk.namespace))
  ) as c(channel);
end
$$;


--
-- Name: announce_submitted_tasks(uuid[]); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.announce_submitted_tasks(p_task_uuids uuid[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  perform tasker.announce_ready_tasks(
    array_agg(t.task_uuid), array_agg(t.active_steps::bigint), null, null, 'task_start'
  )
  from (select distinct u.task_uuid from unnest(p_task_uuids) as u(task_uuid)) s
  join tasker.tasks t on t.task_uuid = s.task_uuid
  where t.state = 'pending'
  having count(*) > 0;
end
$$;


--
-- Name: announce_task_state(text, tasker.task_state, uuid[]); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.announce_task_state(p_namespace text, p_state tasker.task_state, p_task_uuids uuid[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  c_tasks_of_a_payload constant int := 100;
  v_count int := cardinality(p_task_uuids);
  v_payload text;
begin
  for v_first in 1..v_count by c_tasks_of_a_payload loop
    v_payload := '{"task_state":"' || p_state || '","namespace":"' || p_namespace
      || case when v_count = 1 then '","task_uuid":"' || p_task_uuids[1] else '' end
      || '","task_uuids":["'
      || array_to_string(p_task_uuids[v_first : v_first + c_tasks_of_a_payload - 1], '","')
      || '"]}';
    perform pg_notify(tasker.channel('task_state'), v_payload),
      pg_notify(tasker.channel('task_state', p_namespace), v_payload);
  end loop;
end
$$;


--
-- Name: announce_task_states(uuid[], tasker.task_state); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.announce_task_states(p_task_uuids uuid[], p_state tasker.task_state DEFAULT NULL::tasker.task_state) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  if cardinality(p_task_uuids) = 1 then
    -- Most often. To group costs more than all the rest.
    perform tasker.announce_task_state(tp.namespace, coalesce(p_state, t.state), p_task_uuids)
    from tasker.tasks t
    join tasker.templates tp on tp.template_id = t.template_id
    where t.task_uuid = p_task_uuids[1];
    return;
  end if;

  perform tasker.announce_task_state(g.namespace, g.state, g.tasks)
  from (
    select tp.namespace, coalesce(p_state, t.state) as state,
      array_agg(e.task_uuid order by e.task_uuid) as tasks
    from (select distinct u.task_uuid from unnest(p_task_uuids) as u(task_uuid)) e
    -- By their keys, as in tasker.describe_steps().
    cross join lateral (
      select k.state, k.template_id from tasker.tasks k where k.task_uuid = e.task_uuid offset 0
    ) t
    join tasker.templates tp on tp.template_id = t.template_id
    group by 1, 2
  ) g;
end
$$;


--
-- Name: apply_template(jsonb); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.apply_template(p_document jsonb, OUT template_id integer, OUT created boolean) RETURNS record
    LANGUAGE plpgsql
    AS $$
declare
  v_namespace text := p_document ->> 'namespace';
  v_schema jsonb := nullif(p_document -> 'input_schema', 'null');
  v_refusal text;
  v_body jsonb;
begin
  if v_schema is not null then
    v_refusal := tasker.json_schema_refusal(v_schema);
    if v_refusal is not null then
      raise exception using
        errcode = 'TK400', message = format('input_schema: %s', v_refusal);
    end if;
  end if;

  insert into tasker.namespaces (namespace) values (v_namespace) on conflict do nothing;
  if found then
    perform tasker.create_queue(queue_name) from tasker.namespaces
    where namespace = v_namespace;
  end if;

  insert into tasker.templates as t
    (namespace, name, version, description, input_schema, body, step_count)
  values (
    v_namespace, p_document ->> 'name', p_document ->> 'version', p_document ->> 'description',
    v_schema, p_document, jsonb_array_length(p_document -> 'steps')
  )
  on conflict on constraint a_version_is_applied_once do nothing
  returning t.template_id into apply_template.template_id;
  created := found;

  if not created then
    select t.template_id, t.body into apply_template.template_id, v_body
    from tasker.templates t
    where t.namespace = v_namespace
      and t.name = p_document ->> 'name' and t.version = p_document ->> 'version';
    if v_body <> p_document then
      raise exception using
        errcode = 'TK409',
        message = format(
          'version %s of template %s/%s exists with another body',
          p_document ->> 'version', v_namespace, p_document ->> 'name'
        ),
        hint = 'a version never changes: raise the version';
    end if;
    return;
  end if;

  with step as (
    select ordinality::int as step_no, body
    from jsonb_array_elements(p_document -> 'steps') with ordinality as s(body, ordinality)
  ), edge as (
    select child.step_no as child_no, parent.step_no as parent_no
    from step child
    cross join jsonb_array_elements_text(child.body -> 'depends_on') as d(parent_name)
    join step parent on parent.body ->> 'name' = d.parent_name
  ), parents as (
    select child_no as step_no, array_agg(parent_no order by parent_no) as depends_on
    from edge group by child_no
  ), children as (
    select parent_no as step_no, array_agg(child_no order by child_no) as dependents
    from edge group by parent_no
  )
  insert into tasker.template_steps
  select
    apply_template.template_id, step_no, body ->> 'name', body ->> 'handler', body -> 'input',
    coalesce(parents.depends_on, '{}'), coalesce(children.dependents, '{}'),
    (body #>> '{retry,max_attempts}')::int, body #>> '{retry,backoff}',
    (body #>> '{retry,base_ms}')::bigint, (body #>> '{retry,max_ms}')::bigint,
    (body #>> '{retry,jitter}')::boolean, (body ->> 'timeout_ms')::int,
    coalesce(body ->> 'dependency_results', 'inline')
  from step
  left join parents using (step_no)
  left join children using (step_no);
end
$$;


--
-- Name: archive_strange_messages(text); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.archive_strange_messages(p_queue_name text) RETURNS integer
    LANGUAGE plpgsql
    AS $_$
declare
  v_archived int;
begin
  execute format(
    'with strange as (
      delete from pgmq.%1$I where msg_id = any(array(
        select q.msg_id from pgmq.%1$I q
        where not tasker.is_step_message(q.message)
        for update skip locked
      ))
      returning *
    )
    insert into pgmq.%2$I (msg_id, read_ct, enqueued_at, vt, message, headers)
    select s.msg_id, s.read_ct, s.enqueued_at, s.vt, s.message, s.headers from strange s
    on conflict do nothing', 'q_' || p_queue_name, 'a_' || p_queue_name
  );
  get diagnostics v_archived = row_count;
  return v_archived;
end
$_$;


--
-- Name: blocking_sessions(bigint); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.blocking_sessions(p_age_ms bigint DEFAULT 1000) RETURNS TABLE(pid integer, user_name text, application text, state text, held_seconds double precision, tasks bigint, task_uuid uuid)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
begin
  return query
  select a.pid, a.usename::text, a.application_name, a.state,
    extract(epoch from clock_timestamp() - a.xact_start)::double precision,
    count(*), min(t.task_uuid::text)::uuid
  from pg_stat_activity a
  join tasker.tasks t on t.xmax = a.backend_xid
  where a.datname = current_database() and a.pid <> pg_backend_pid() and t.listed_as <> 'complete'
    and coalesce(a.xact_start < clock_timestamp() - p_age_ms * interval '1 ms', true)
  group by a.pid, a.usename, a.application_name, a.state, a.xact_start
  order by a.xact_start, a.pid;
end
$$;


--
-- Name: cancel_task(uuid, text, text); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.cancel_task(p_task_uuid uuid, p_actor text, p_reason text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  v_task tasker.tasks;
  v_now timestamptz;
  v_queue text;
  v_msgs bigint[];
begin
  v_task := tasker.lock_task(p_task_uuid);
  if v_task.state = 'cancelled' then
    return;
  end if;
  if v_task.state not in ('pending', 'in_progress', 'error') then
    raise exception using
      errcode = 'TK409',
      message = format('task %s is %s and cannot be cancelled', p_task_uuid, v_task.state);
  end if;
  v_now := tasker.now();

  with waiting as (
    select s.step_no, s.state, s.msg_id from tasker.steps s
    where s.task_uuid = p_task_uuid and s.state in ('pending', 'enqueued', 'waiting_for_retry')
    order by s.step_no
    for no key update
  ), stopped as (
    update tasker.steps s set state = 'cancelled', msg_id = null, finished_at = v_now
    from waiting w
    where s.task_uuid = p_task_uuid and s.step_no = w.step_no
    returning s.step_no, s.attempt, w.state, w.msg_id
  ), logged as (
    insert into tasker.step_transitions
      (task_uuid, at, step_no, attempt, from_state, to_state, actor, reason)
    select p_task_uuid, v_now, step_no, attempt, state, 'cancelled', p_actor, p_reason
    from stopped
  )
  select array_agg(msg_id) filter (where msg_id is not null) into v_msgs from stopped;

  delete from tasker.timers where task_uuid = p_task_uuid;
  -- Rows that a claim holds at this moment are not waited for: it finds them void.
  delete from tasker.ready_steps where ctid = any(array(
    select ctid from tasker.ready_steps
    where task_uuid = p_task_uuid
    for update skip locked
  ));

  update tasker.tasks
  set state = 'cancelled', finished_at = v_now, reason = p_reason,
    active_steps = (
      select count(*) from tasker.steps where task_uuid = p_task_uuid and state = 'in_progress'
    )
  where task_uuid = p_task_uuid;
  insert into tasker.task_transitions (task_uuid, at, from_state, to_state, actor, reason)
  values (p_task_uuid, v_now, v_task.state, 'cancelled', p_actor, p_reason);

  if v_msgs is not null then
    select n.queue_name into v_queue
    from tasker.templates t join tasker.namespaces n on n.namespace = t.namespace
    where t.template_id = v_task.template_id;
    perform tasker.delete_messages(v_queue, v_msgs);
  end if;
end
$$;


--
-- Name: channel(text, text); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.channel(p_event text, p_namespace text DEFAULT NULL::text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  select coalesce(nullif(current_setting('tasker.channel_prefix', true), ''), 'tasker')
    || '_' || p_event || coalesce('.' || p_namespace, '')
$$;


--
-- Name: claim_ready_tasks(text, integer, text[], boolean); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.claim_ready_tasks(p_processor text, p_limit integer, p_namespaces text[] DEFAULT NULL::text[], p_guarded boolean DEFAULT true) RETURNS TABLE(task_uuid uuid, namespace text, queue_name text, priority integer, ready_steps integer, ready_for_ms double precision, successor_after_ms double precision, problem text)
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
  -- Batches that one call looks at where what comes first cannot be claimed.
  c_batches constant int := 20;
  v_announce text := tasker.suppress_notify();
  v_now timestamptz;
  v_namespaces text[] := p_namespaces;
  v_left int := p_limit;
  v_want int;
  v_taken int;
  v_void int;
  v_left_out int := 0;
  v_last_priority int;
  v_last_no bigint;
  v_passed_by uuid[] := '{}';
  v_rows tid[];
  v_tasks uuid[];
  v_steps int[];
  v_priorities int[];
  v_numbers bigint[];
  v_unstarted uuid[];
  v_started uuid[];
  v_claimed_rows tid[];
  v_failed_rows int;
  v_queue record;
  v_problem text;
begin
  perform set_config('synchronous_commit', 'off', true);
  if not exists (select from tasker.queues_intact) then
    perform tasker.refill_queues();
  end if;

  for v_batch in 1..c_batches loop
    -- A batch continues behind the one before it, and passes by tasks that steps were left out of:
    -- where one transaction holds a wide task, thousands of its steps may be ready.
    v_want := v_left;
    if v_namespaces is null then
      select array_agg(r.ctid), array_agg(r.task_uuid), array_agg(r.step_no),
        array_agg(r.priority), array_agg(r.ready_no), count(*)
      into v_rows, v_tasks, v_steps, v_priorities, v_numbers, v_taken
      from (
        select ctid, task_uuid, step_no, priority, ready_no
        from tasker.ready_steps
        where (v_last_priority is null or priority < v_last_priority
            or priority = v_last_priority and ready_no > v_last_no)
          and task_uuid <> all(v_passed_by)
        order by priority desc, ready_no
        limit v_want
        for update skip locked
      ) r;
    else
      -- Chosen before they are locked, from each template's first rows; twice as many as wanted, for
      -- the sake of a second orchestrator that does the same.
      select array_agg(r.ctid), array_agg(r.task_uuid), array_agg(r.step_no),
        array_agg(r.priority), array_agg(r.ready_no), count(*)
      into v_rows, v_tasks, v_steps, v_priorities, v_numbers, v_taken
      from (
        select r.ctid, r.task_uuid, r.step_no, r.priority, r.ready_no
        from unnest(array(
          select c.row_id
          from unnest(tasker.ready_templates(v_namespaces)) as t(template_id)
          cross join lateral (
            select f.ctid as row_id, f.priority, f.ready_no
            from tasker.ready_steps f
            where f.template_id = t.template_id
              and (v_last_priority is null or f.priority < v_last_priority
                or f.priority = v_last_priority and f.ready_no > v_last_no)
              and f.task_uuid <> all(v_passed_by)
            order by f.priority desc, f.ready_no
            limit 2 * v_want
          ) c
          order by c.priority desc, c.ready_no
          limit 2 * v_want
        )) as few(row_id)
        cross join lateral (
          select f.ctid, f.task_uuid, f.step_no, f.priority, f.ready_no from tasker.ready_steps f
          where f.ctid = few.row_id
          for update skip locked
        ) r
        limit v_want
      ) r;
    end if;
    exit when v_taken = 0;
    v_last_priority := v_priorities[v_taken];
    v_last_no := v_numbers[v_taken];
    -- Read after the rows, so that no step is enqueued before its parents ended.
    v_now := tasker.now();

    with pending as materialized (
      select t.ctid as row_id, t.task_uuid from tasker.tasks t
      where t.task_uuid = any(v_tasks) and t.state = 'pending'
    ), held as materialized (
      select h.task_uuid
      from pending p
      cross join lateral (
        select t.task_uuid from tasker.tasks t
        where t.ctid = p.row_id and t.state = 'pending'
        for no key update skip locked
      ) h
    ), started as (
      update tasker.tasks t set state = 'in_progress', started_at = v_now
      from held h
      where t.task_uuid = h.task_uuid
      returning t.task_uuid
    ), logged as (
      insert into tasker.task_transitions (task_uuid, at, from_state, to_state, actor)
      select s.task_uuid, v_now, 'pending', 'in_progress', p_processor from started s
    )
    select case when (select count(*) from held) = (select count(*) from pending) then '{}'
      else array(select p.task_uuid from pending p except select h.task_uuid from held h) end,
      (select array_agg(s.task_uuid) from started s)
    into v_unstarted, v_started;

    v_claimed_rows := '{}';
    v_failed_rows := 0;
    for v_queue in
      with claimable as (
        select r.row_id, r.priority, s.*
        from unnest(v_rows, v_tasks, v_steps, v_priorities)
          as r(row_id, task_uuid, step_no, priority)
        -- By their keys, as in tasker.describe_steps().
        cross join lateral (
          select k.task_uuid, k.step_no, k.template_id, k.state, k.attempt from tasker.steps k
          where k.task_uuid = r.task_uuid and k.step_no = r.step_no
            and k.state in ('pending', 'waiting_for_retry')
          for no key update skip locked
        ) s
        where r.task_uuid <> all(v_unstarted)
      )
      -- Nothing here changes the order of the rows. To sort each array costs more than to make it.
      select q.queue_name as name, q.namespace, array_agg(c.row_id) as row_ids,
        array_agg(c.task_uuid) as tasks, array_agg(c.step_no) as steps,
        array_agg(c.state) as states, array_agg(c.attempt) as attempts,
        array_agg(tasker.step_message(c.task_uuid, c.step_no, q.handler, c.priority)) as messages
      from claimable c
      cross join lateral (
        select n.queue_name, n.namespace, ts.handler
        from tasker.template_steps ts
        join tasker.templates t on t.template_id = ts.template_id
        join tasker.namespaces n on n.namespace = t.namespace
        where ts.template_id = c.template_id and ts.step_no = c.step_no
        offset 0
      ) q
      group by q.queue_name, q.namespace
    loop
      if v_started = v_queue.tasks[1:1] then
        -- One task, whose namespace need not be looked up.
        perform tasker.announce_task_state(v_queue.namespace, 'in_progress', v_started);
        v_started := null;
      end if;
      v_problem := tasker.enqueue_steps(
        v_queue.name, v_queue.tasks, v_queue.steps, v_queue.states, v_queue.attempts,
        v_queue.messages, p_processor, v_now, p_guarded
      );
      if v_problem is null then
        v_claimed_rows := v_claimed_rows || v_queue.row_ids;
        continue;
      end if;
      v_failed_rows := v_failed_rows + cardinality(v_queue.row_ids);
      return query
      select null::uuid, v_queue.namespace, v_queue.name, null::int,
        cardinality(v_queue.row_ids), null::double precision, null::double precision, v_problem;
      -- However much is ready there, other namespaces do not wait behind it.
      v_namespaces := array_remove(
        coalesce(v_namespaces, array(select k.namespace from tasker.namespaces k)),
        v_queue.namespace
      );
    end loop;

    -- Here and not after the commit, which wakes the queue's workers in any case.
    if v_started is not null then
      perform tasker.announce_task_states(v_started, 'in_progress');
    end if;

    -- Mostly there is one, and it is known.
    if v_priorities[1] <> any (v_priorities)
      or not exists (select from tasker.priorities_in_use u where u.priority = v_priorities[1]) then
      insert into tasker.priorities_in_use
      select distinct p.priority from unnest(v_priorities) as p(priority)
      where not exists (select from tasker.priorities_in_use u where u.priority = p.priority);
    end if;

    -- A row whose step another transaction holds stays; one whose step moved on meanwhile is void.
    v_void := 0;
    if v_taken > cardinality(v_claimed_rows) + v_failed_rows then
      delete from tasker.ready_steps r
      where r.ctid = any(v_rows)
        and not exists (
          select from tasker.steps s
          where s.task_uuid = r.task_uuid and s.step_no = r.step_no
            and s.state in ('pending', 'waiting_for_retry', 'enqueued')
        );
      get diagnostics v_void = row_count;
    end if;

    return query
    with claimed as (
      delete from tasker.ready_steps r
      where r.ctid = any(v_claimed_rows)
      returning r.task_uuid, r.template_id, r.priority, r.ready_at, r.cause, r.ready_no
    )
    select c.task_uuid, min(n.namespace), min(n.queue_name), max(c.priority), count(*)::int,
      extract(epoch from v_now - min(c.ready_at))::double precision * 1000,
      extract(epoch from v_now - min(c.ready_at) filter (
        where c.cause = 'step_transition'
      ))::double precision * 1000,
      null::text
    from claimed c
    join tasker.templates t on t.template_id = c.template_id
    join tasker.namespaces n on n.namespace = t.namespace
    group by c.task_uuid
    order by max(c.priority) desc, min(c.ready_no);

    v_left := v_left - cardinality(v_claimed_rows);
    v_left_out := v_left_out
      + v_taken - cardinality(v_claimed_rows) - v_failed_rows - v_void;
    exit when v_left = 0 or v_taken = cardinality(v_claimed_rows);
    v_passed_by := v_passed_by || array(
      select distinct l.task_uuid from unnest(v_rows, v_tasks) as l(row_id, task_uuid)
      where l.row_id <> all(v_claimed_rows)
    );
  end loop;
  if v_left_out > 0 then
    return query
    select null::uuid, null::text, null::text, null::int, v_left_out,
      null::double precision, null::double precision, null::text;
  end if;
  perform set_config('tasker.announce', v_announce, true);
end
$$;


--
-- Name: claim_task_for_finalization(uuid, text); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.claim_task_for_finalization(p_task_uuid uuid, p_processor text, OUT finalized boolean, OUT state tasker.task_state) RETURNS record
    LANGUAGE plpgsql
    AS $$
declare
  v_task tasker.tasks := tasker.lock_task(p_task_uuid);
  v_now timestamptz := tasker.now();
  v_active int;
  v_failed int;
  v_waiting int;
begin
  finalized := false;
  state := v_task.state;
  if v_task.state not in ('pending', 'in_progress') then
    return;
  end if;

  select
    count(*) filter (
      where s.state in ('enqueued', 'in_progress', 'waiting_for_retry')
        or s.state = 'pending' and s.waiting_on = 0
    ),
    count(*) filter (where s.state = 'error'),
    count(*) filter (where s.state = 'pending' and s.waiting_on > 0)
  into v_active, v_failed, v_waiting
  from tasker.steps s
  where s.task_uuid = p_task_uuid;
  if v_active > 0 then
    update tasker.tasks t set active_steps = v_active, failed_steps = v_failed
    where t.task_uuid = p_task_uuid
      and (t.active_steps, t.failed_steps) is distinct from (v_active, v_failed);
    return;
  end if;
  if v_failed = 0 and v_waiting > 0 then
    raise exception using
      errcode = 'TK409',
      message = format('task %s cannot be ended: %s of its steps wait for others, but none of '
        'those can move and none failed', p_task_uuid, v_waiting),
      hint = '`tasker doctor` names what is wrong with them';
  end if;

  finalized := true;
  state := case when v_failed > 0 then 'error' else 'complete' end;
  update tasker.tasks t
  set state = claim_task_for_finalization.state, active_steps = 0, failed_steps = v_failed,
    started_at = coalesce(t.started_at, v_now), finished_at = v_now
  where t.task_uuid = p_task_uuid;
  if v_task.state = 'pending' then
    insert into tasker.task_transitions (task_uuid, at, from_state, to_state, actor)
    values (p_task_uuid, v_now, 'pending', 'in_progress', p_processor);
  end if;
  insert into tasker.task_transitions (task_uuid, at, from_state, to_state, actor, reason)
  values (p_task_uuid, v_now, 'in_progress', state, p_processor, 'nothing of it could move');
end
$$;


--
-- Name: complete_steps(text, uuid[], integer[], integer[], bigint[], text[], text[], jsonb[], bigint[], boolean[], text[], bigint, boolean); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.complete_steps(p_worker text, p_task_uuids uuid[], p_step_nos integer[], p_receipts integer[], p_msg_ids bigint[], p_namespaces text[], p_outcomes text[], p_payloads jsonb[], p_delays_ms bigint[], p_continue boolean[] DEFAULT NULL::boolean[], p_handlers text[] DEFAULT NULL::text[], p_lease_ms bigint DEFAULT NULL::bigint, p_skip_locked boolean DEFAULT false) RETURNS TABLE(stale integer[], locked integer[], ready_tasks uuid[], finished_tasks uuid[], cancelled_tasks uuid[], woken_queues text[], timer_set boolean, task_uuid uuid, step_no integer, msg_id bigint, namespace text, template text, step_name text, handler text, attempt integer, receipt integer, max_attempts integer, timeout_ms integer, priority integer, context jsonb, input jsonb, dependency_results jsonb, expired text, input_bytes bigint, problem text)
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
  v_now timestamptz;
  v_announce text;
  v_most_urgent int;
  v_freed record;
  v_positions int[];
  v_msgs bigint[];
  v_tasks uuid[];
  v_steps int[];
  v_templates int[];
  v_states tasker.step_state[];
  v_attempts int[];
  v_active int[];
  v_failed int[];
  v_done_tasks uuid[];
  v_done_steps int[];
  v_done_templates int[];
  v_done_msgs bigint[];
  v_queue record;
  v_again_tasks uuid[];
  v_again_steps int[];
  v_again_msgs bigint[];
  v_done_bytes int[];
  v_locked int[] := '{}';
begin
  if p_skip_locked then
    v_locked := tasker.locked_positions(p_task_uuids, p_step_nos);
  else
    perform 1 from tasker.tasks t
    where t.task_uuid = any(p_task_uuids)
    order by t.task_uuid
    for no key update;
  end if;
  v_now := tasker.now();

  with report as (
    select r.*, t.state as task_state
    from unnest(p_task_uuids, p_step_nos, p_receipts, p_msg_ids, p_outcomes, p_payloads)
      with ordinality as r(task_uuid, step_no, receipt, msg_id, outcome, payload, position)
    -- Steps are found by their whole keys, as in tasker.describe_steps().
    cross join lateral (
      select t.state from tasker.tasks t where t.task_uuid = r.task_uuid offset 0
    ) t
    where r.position <> all(v_locked)
  ), moved as (
    update tasker.steps s
    set state = case
        when r.outcome = 'complete' then 'complete'
        when r.task_state = 'cancelled' then 'cancelled'
        when r.outcome = 'retry' and s.attempt < s.max_attempts then 'waiting_for_retry'
        else 'error'
      end::tasker.step_state,
      result = case when r.outcome = 'complete' then r.payload end,
      result_bytes = case when r.outcome = 'complete' then pg_column_size(r.payload) else 0 end,
      error = case when r.outcome <> 'complete' then r.payload end,
      finished_at = case
        when r.outcome = 'retry' and s.attempt < s.max_attempts and r.task_state <> 'cancelled'
          then null
        else v_now
      end,
      msg_id = null
    from report r
    where s.task_uuid = r.task_uuid and s.step_no = r.step_no
      and s.receipt = r.receipt and s.msg_id = r.msg_id and s.state = 'in_progress'
    returning r.position::int, s.task_uuid, s.step_no, s.template_id, s.state, s.attempt, s.error,
      s.result_bytes
  ), logged as (
    insert into tasker.step_transitions
      (task_uuid, at, step_no, attempt, from_state, to_state, actor, error)
    select task_uuid, v_now, step_no, attempt, 'in_progress', state, p_worker, error
    from moved
  )
  select array_agg(position), array_agg(p_msg_ids[position]), array_agg(task_uuid),
    array_agg(step_no), array_agg(template_id), array_agg(state), array_agg(attempt),
    array_agg(case when state = 'waiting_for_retry' then 0 else -1 end),
    array_agg(case when state = 'error' then 1 else 0 end),
    array_agg(task_uuid) filter (where state = 'complete'),
    array_agg(step_no) filter (where state = 'complete'),
    array_agg(template_id) filter (where state = 'complete'),
    array_agg(case when p_continue[position] then p_msg_ids[position] end)
      filter (where state = 'complete'),
    array_agg(result_bytes) filter (where state = 'complete')
  into v_positions, v_msgs, v_tasks, v_steps, v_templates, v_states, v_attempts, v_active,
    v_failed, v_done_tasks, v_done_steps, v_done_templates, v_done_msgs, v_done_bytes
  from moved;

  ready_tasks := '{}';
  finished_tasks := '{}';
  cancelled_tasks := '{}';
  woken_queues := '{}';
  timer_set := 'waiting_for_retry' = any(v_states);
  locked := v_locked;
  stale := '{}';
  if cardinality(p_task_uuids) > coalesce(cardinality(v_positions), 0) + cardinality(v_locked) then
    stale := array(
      select position from generate_series(1, cardinality(p_task_uuids)) as position
      where (v_positions is null or position <> all(v_positions)) and position <> all(v_locked)
    );
  end if;
  -- A report that is repeated because its answer got lost is answered with the step that followed
  -- then. A worker that gets it too late runs it for nothing: the outcome is stale.
  if p_handlers is not null and stale <> '{}' then
    select array_agg(f.task_uuid), array_agg(f.step_no), array_agg(f.msg_id)
    into v_again_tasks, v_again_steps, v_again_msgs
    from (
      -- It may have followed several of them, which had its message one after the other.
      select distinct s.task_uuid, s.step_no, s.msg_id
      from unnest(stale) as p(position)
      join tasker.steps d
        on d.task_uuid = p_task_uuids[p.position] and d.step_no = p_step_nos[p.position]
      join tasker.template_steps ts on ts.template_id = d.template_id and ts.step_no = d.step_no
      cross join unnest(ts.dependents) as e(step_no)
      join tasker.steps s on s.task_uuid = d.task_uuid and s.step_no = e.step_no
      where s.msg_id = p_msg_ids[p.position] and s.state = 'in_progress' and s.worker = p_worker
    ) f;
  end if;
  if v_positions is null then
    timer_set := false;
    return next;
    if v_again_tasks is not null then
      return query
      select (null::tasker.moved).*, d.*
      from tasker.describe_steps(v_again_tasks, v_again_steps, v_again_msgs, null) d;
    end if;
    return;
  end if;

  if timer_set then
    insert into tasker.timers (task_uuid, step_no, due_at)
    select m.task_uuid, m.step_no,
      -- A century at most: no delay that a handler asks for may leave the range of time.
      v_now + interval '1 ms' * least(
        3155760000000,
        coalesce(
          p_delays_ms[m.position],
          tasker.retry_delay_ms(ts.backoff, ts.base_ms, ts.max_ms, ts.jitter, m.attempt)
        )
      )
    from unnest(v_positions, v_tasks, v_steps, v_templates, v_states, v_attempts)
      as m(position, task_uuid, step_no, template_id, state, attempt)
    join tasker.template_steps ts on ts.template_id = m.template_id and ts.step_no = m.step_no
    where m.state = 'waiting_for_retry';
  end if;

  if array_remove(v_done_msgs, null) <> '{}' then
    -- Where all have one priority, nothing is more urgent than what follows.
    if exists (select from tasker.priorities_in_use offset 1) then
      v_most_urgent := tasker.most_urgent_message(p_namespaces, p_handlers, v_msgs);
    end if;
  end if;
  v_announce := tasker.suppress_notify();
  v_freed := tasker.free_dependents(
    v_done_tasks, v_done_steps, v_done_templates, v_now, p_worker, v_done_msgs, p_handlers,
    p_lease_ms, v_most_urgent, v_done_bytes
  );
  ready_tasks := v_freed.ready_tasks;

  -- Where each step that moved was followed by one that started in its place, there is nothing to
  -- count and no message to delete.
  if cardinality(v_freed.started_tasks) < cardinality(v_positions)
    or v_freed.ready_tasks <> '{}' then
    v_active := v_active || array_fill(
      1, array[cardinality(v_freed.ready_tasks) + cardinality(v_freed.started_tasks)]
    );
    finished_tasks := tasker.count_active(
      v_tasks || v_freed.ready_tasks || v_freed.started_tasks, v_active, v_failed, p_worker, v_now
    );
    for v_queue in
      select n.queue_name as name, array_agg(r.msg_id order by r.msg_id) as msg_ids
      from unnest(v_positions) as p(position),
        lateral (
          select p_namespaces[p.position] as namespace, p_msg_ids[p.position] as msg_id
        ) as r
      join tasker.namespaces n on n.namespace = r.namespace
      where v_freed.started_msgs = '{}'
        or (p_task_uuids[p.position], p_step_nos[p.position]) not in (
          select * from unnest(v_freed.started_tasks, v_freed.followed_steps)
        )
      group by n.queue_name
      order by n.queue_name
    loop
      perform tasker.delete_messages(v_queue.name, v_queue.msg_ids, p_skip_locked);
    end loop;
  end if;
  perform set_config('tasker.announce', v_announce, true);

  return next;
  if v_freed.started_tasks = '{}' and v_again_tasks is null then
    return;
  end if;

  if array_remove(v_freed.lease_ms, null) <> '{}' then
    for v_queue in
      select n.queue_name as name, f.lease_ms, array_agg(f.msg_id order by f.msg_id) as msg_ids
      from unnest(v_freed.started_tasks, v_freed.started_msgs, v_freed.lease_ms)
        as f(task_uuid, msg_id, lease_ms)
      join tasker.tasks k on k.task_uuid = f.task_uuid
      join tasker.templates t on t.template_id = k.template_id
      join tasker.namespaces n on n.namespace = t.namespace
      where f.lease_ms is not null
      group by 1, 2
      order by 1, 2
    loop
      perform tasker.delay_messages(v_queue.name, v_queue.msg_ids, v_queue.lease_ms);
    end loop;
  end if;

  return query
  select (null::tasker.moved).*, d.*
  from tasker.describe_steps(
    v_freed.started_tasks || v_again_tasks, v_freed.started_steps || v_again_steps,
    v_freed.started_msgs || v_again_msgs, null
  ) d;
end
$$;


--
-- Name: count_active(uuid[], integer[], integer[], text, timestamp with time zone); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.count_active(p_task_uuids uuid[], p_active integer[], p_failed integer[], p_actor text, p_now timestamp with time zone) RETURNS uuid[]
    LANGUAGE plpgsql
    AS $$
declare
  v_task_uuids uuid[];
begin
  with change as (
    select c.task_uuid, sum(c.active)::int as active, coalesce(sum(c.failed), 0)::int as failed
    from unnest(p_task_uuids, p_active, p_failed) as c(task_uuid, active, failed)
    group by c.task_uuid
    having sum(c.active) <> 0 or sum(c.failed) <> 0
  ), counted as (
    update tasker.tasks t
    set active_steps = t.active_steps + c.active,
      failed_steps = t.failed_steps + c.failed,
      state = case
        when t.state <> 'in_progress' or t.active_steps + c.active > 0 then t.state
        when t.failed_steps + c.failed > 0 then 'error'
        else 'complete'
      end,
      finished_at = case
        when t.state <> 'in_progress' or t.active_steps + c.active > 0 then t.finished_at
        else p_now
      end
    from change c
    where t.task_uuid = c.task_uuid
    returning t.task_uuid, t.state, t.active_steps
  ), ended as (
    insert into tasker.task_transitions (task_uuid, at, from_state, to_state, actor)
    select task_uuid, p_now, 'in_progress', state, p_actor
    from counted
    where active_steps = 0 and state in ('complete', 'error')
    returning task_uuid
  )
  select coalesce(array_agg(task_uuid), '{}') into v_task_uuids from ended;
  return v_task_uuids;
end
$$;


--
-- Name: create_queue(text); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.create_queue(p_queue_name text) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  v_table text := format('pgmq.%I', 'q_' || p_queue_name);
begin
  perform case when unlogged then pgmq.create_unlogged(p_queue_name)
    else pgmq.create(p_queue_name) end
  from tasker.queue_settings;
  execute format('drop index if exists pgmq.%I', 'q_' || p_queue_name || '_vt_idx');
  execute format('alter table %s set (fillfactor = 50)', v_table);
  if not tasker.has_handler_index(p_queue_name) then
    -- The priority stays JSON, because a foreign message may have any.
    execute format(
      'create index on %s (
        ((message ->> ''handler'') collate "C"), ((message -> ''priority'')) desc, msg_id
      )', v_table
    );
  end if;
end
$$;


--
-- Name: damaged_queues(); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.damaged_queues() RETURNS TABLE(namespace text, problem text)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
declare
  v_queue text;
begin
  for namespace, v_queue in
    select n.namespace, n.queue_name from tasker.namespaces n order by n.namespace
  loop
    problem := null;
    begin
      execute format('select from pgmq.%I limit 1', 'q_' || v_queue);
      if not tasker.has_handler_index(v_queue) then
        problem := format('the index by handler of the queue %s is missing', v_queue);
      end if;
    exception when others then
      problem := format('the queue %s cannot be read: %s', v_queue, sqlerrm);
    end;
    if problem is not null then
      return next;
    end if;
  end loop;
end
$$;


--
-- Name: delay_messages(text, bigint[], bigint); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.delay_messages(p_queue_name text, p_msg_ids bigint[], p_delay_ms bigint) RETURNS text
    LANGUAGE plpgsql
    AS $_$
begin
  execute format(
    'update pgmq.%1$I set vt = $2 where msg_id = any(array(
      select q.msg_id from pgmq.%1$I q where q.msg_id = any($1) for update skip locked
    ))', 'q_' || p_queue_name
  )
  using p_msg_ids, clock_timestamp() + p_delay_ms * interval '1 ms';
  return null;
exception when others then
  return sqlerrm;
end
$_$;


--
-- Name: delete_messages(text, bigint[], boolean); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.delete_messages(p_queue_name text, p_msg_ids bigint[], p_guarded boolean DEFAULT true) RETURNS void
    LANGUAGE plpgsql
    AS $_$
begin
  if p_guarded then
    begin
      perform tasker.delete_messages(p_queue_name, p_msg_ids, false);
    exception when others then
      null;
    end;
    return;
  end if;
  execute format('delete from pgmq.%I where msg_id = any($1)', 'q_' || p_queue_name)
  using p_msg_ids;
end
$_$;


--
-- Name: dependency_result(uuid, integer, text); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.dependency_result(p_task_uuid uuid, p_step_no integer, p_dependency text) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
declare
  -- Names that a hint lists.
  c_most_names constant int := 50;
  v_step record;
  v_dependency_no int;
  v_found record;
begin
  select ts.template_id, ts.name, ts.depends_on into v_step
  from tasker.steps s
  join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
  where s.task_uuid = p_task_uuid and s.step_no = p_step_no;
  if not found then
    raise exception using
      errcode = 'TK404', message = format('task %s has no step %s', p_task_uuid, p_step_no);
  end if;

  select p.step_no into v_dependency_no
  from tasker.template_steps p
  where p.name = p_dependency and p.template_id = v_step.template_id;
  if v_dependency_no is null or v_dependency_no <> all(v_step.depends_on) then
    raise exception using
      errcode = 'TK404',
      message = format(
        'step %s does not depend on a step named %s', v_step.name,
        coalesce(quote_ident(p_dependency), 'null')
      ),
      hint = case
        when v_step.depends_on = '{}' then 'it depends on none; list it in depends_on'
        else (
          select format(
            'it depends on %s%s', string_agg(p.name, ', ' order by d.position),
            case when cardinality(v_step.depends_on) > c_most_names
              then format(' and %s more', cardinality(v_step.depends_on) - c_most_names) end
          )
          from unnest(v_step.depends_on[:c_most_names]) with ordinality as d(step_no, position)
          join tasker.template_steps p
            on p.template_id = v_step.template_id and p.step_no = d.step_no
        ) end;
  end if;

  select s.state, s.result into v_found
  from tasker.steps s
  where s.task_uuid = p_task_uuid and s.step_no = v_dependency_no;
  if v_found.state not in ('complete', 'skipped', 'resolved_manually') then
    raise exception using
      errcode = 'TK409',
      message = format('step %s is %s and has no result', p_dependency, v_found.state);
  end if;
  return coalesce(v_found.result, 'null');
end
$$;


--
-- Name: deregister_process(uuid); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.deregister_process(p_registration_uuid uuid) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  perform set_config('synchronous_commit', 'off', true);
  delete from tasker.processes where registration_uuid = p_registration_uuid;
end
$$;


--
-- Name: describe_steps(uuid[], integer[], bigint[], boolean[], bigint); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.describe_steps(p_task_uuids uuid[], p_step_nos integer[], p_msg_ids bigint[], p_came_back boolean[], p_max_bytes bigint DEFAULT NULL::bigint) RETURNS SETOF tasker.received_step
    LANGUAGE plpgsql STABLE
    AS $$
declare
  v_now timestamptz := tasker.now();
begin
  return query
  select
    h.task_uuid, h.step_no, h.msg_id, tp.namespace,
    tp.namespace || '/' || tp.name || '@' || tp.version, ts.name, ts.handler,
    s.attempt, s.receipt, s.max_attempts, ts.timeout_ms, t.priority,
    case when f.fits then t.context else '{}' end, ts.input,
    case
      when ts.dependency_results = 'on_request' then null
      when ts.depends_on = '{}' or not f.fits then '{}'
      else (
      select coalesce(jsonb_object_agg(ps.name, coalesce(p.result, 'null')), '{}')
      from unnest(ts.depends_on) as d(step_no)
      cross join lateral (
        select ps.name from tasker.template_steps ps
        where ps.template_id = ts.template_id and ps.step_no = d.step_no
        offset 0
      ) ps
      cross join lateral (
        select p.result from tasker.steps p
        where p.task_uuid = h.task_uuid and p.step_no = d.step_no
        offset 0
      ) p
    ) end,
    case
      when h.came_back is not true then null
      when v_now >= s.started_at + ts.timeout_ms * interval '1 ms'
        and tasker.process_is_alive(s.worker) then 'timeout'
      else 'lease_expired'
    end,
    s.input_bytes,
    case when not f.fits then format(
      case when ts.depends_on = '{}' or ts.dependency_results = 'on_request' then
        'its context has %s bytes, and the worker takes at most %s in one receipt '
          '(worker.receive_batch_bytes): keep what is large elsewhere and submit references to it'
      else
        'its context and the results it depends on have %s bytes, and the worker takes at most %s '
          'in one receipt (worker.receive_batch_bytes): either keep large results elsewhere and '
          'return references to them, or give the step `dependency_results: on_request` in its '
          'template and let its handler read them one by one (Step::fetch_dependency)'
      end,
      s.input_bytes, p_max_bytes
    ) end
  from unnest(p_task_uuids, p_step_nos, p_msg_ids, p_came_back)
    as h(task_uuid, step_no, msg_id, came_back)
  cross join lateral (
    select * from tasker.steps s where s.task_uuid = h.task_uuid and s.step_no = h.step_no offset 0
  ) s
  cross join lateral (
    select * from tasker.tasks t where t.task_uuid = h.task_uuid offset 0
  ) t
  cross join lateral (
    select * from tasker.template_steps ts
    where ts.template_id = s.template_id and ts.step_no = h.step_no
    offset 0
  ) ts
  cross join lateral (
    select p_max_bytes is null or s.input_bytes <= p_max_bytes as fits
  ) f
  join tasker.templates tp on tp.template_id = s.template_id;
end
$$;


--
-- Name: discard_dead_rows(); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.discard_dead_rows(OUT held_back boolean, OUT written text, OUT remaining integer, OUT to_vacuum text[]) RETURNS record
    LANGUAGE plpgsql
    SET lock_timeout TO '50ms'
    AS $_$
declare
  -- Transactions that began since: a second under full load. Nothing of ours takes so long.
  c_old_horizon constant int := 500;
  -- Ten thousand dead rows or so, which cost a claim some milliseconds.
  c_large_bytes constant bigint := 1024 * 1024;
  -- A vacuum of so much takes some milliseconds too. A larger table is rewritten, where little of it
  -- lives, and is small from then on; where much does, it is for autovacuum.
  c_small_bytes constant bigint := 64 * 1024 * 1024;
  -- Five times what a row takes: what is copied is little beside what is discarded.
  c_bytes_per_row constant int := 1000;
  -- Copying so many takes less than 100 ms.
  c_most_rows constant int := 10000;
  v_table record;
  v_most int;
  v_has_few boolean;
begin
  remaining := 0;
  to_vacuum := '{}';
  select coalesce(max(age(x.xid)), 0) > c_old_horizon into held_back
  from (
    select x.xid from pg_stat_activity a, unnest(array[a.backend_xmin, a.backend_xid]) as x(xid)
    -- A standby that sends feedback has no database.
    where a.datname is null or a.datname = current_database()
    union all select xmin from pg_replication_slots
    union all select transaction from pg_prepared_xacts where database = current_database()
  ) as x(xid);
  perform set_config('synchronous_commit', 'off', true);
  for v_table in
    select t.name, tasker.table_bytes(t.name) as bytes
    from unnest(tasker.queue_tables()) as t(name)
    order by bytes desc nulls last
  loop
    exit when v_table.bytes is null;
    if not held_back and v_table.bytes between c_large_bytes / 2 and c_small_bytes then
      to_vacuum := to_vacuum || v_table.name::text;
    end if;
    continue when v_table.bytes < case when held_back then c_large_bytes else c_small_bytes end;

    v_most := least(c_most_rows, v_table.bytes / c_bytes_per_row);
    v_has_few := false;
    begin
      execute format('select count(*) <= $1 from (select from %s limit $1 + 1) few', v_table.name)
      into v_has_few using v_most;
    exception when lock_not_available then
      null;
    end;
    -- One a call, because its lock lasts until the commit.
    if written is null and v_has_few and tasker.rewrite_table(v_table.name) then
      written := v_table.name;
    else
      remaining := remaining + 1;
    end if;
  end loop;
end
$_$;


--
-- Name: doctor(); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.doctor() RETURNS TABLE(check_name text, task_uuid uuid, step_name text, detail text)
    LANGUAGE plpgsql
    AS $$
declare
  v_table regclass;
begin
  perform set_config('lock_timeout', '5s', true);
  foreach v_table in array tasker.queue_tables() loop
    begin
      execute format('lock table %s in access share mode', v_table);
    exception
      -- The check of queues reports it.
      when insufficient_privilege then
        null;
      when lock_not_available then
        -- However many are locked, the call waits for one.
        perform set_config('lock_timeout', '10ms', true);
    end;
  end loop;
  return query select * from tasker.findings();
end
$$;


--
-- Name: enqueue_steps(text, uuid[], integer[], tasker.step_state[], integer[], jsonb[], text, timestamp with time zone, boolean); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.enqueue_steps(p_queue_name text, p_task_uuids uuid[], p_step_nos integer[], p_states tasker.step_state[], p_attempts integer[], p_messages jsonb[], p_processor text, p_now timestamp with time zone, p_guarded boolean) RETURNS text
    LANGUAGE plpgsql
    AS $_$
declare
  v_msgs bigint[];
begin
  if p_guarded then
    begin
      return tasker.enqueue_steps(
        p_queue_name, p_task_uuids, p_step_nos, p_states, p_attempts, p_messages, p_processor,
        p_now, false
      );
    exception
      when read_only_sql_transaction then
        raise;
      when others then
        if sqlstate = '55P03' then
          -- One such wait a call is enough.
          perform set_config('lock_timeout', '10ms', true);
        end if;
        return sqlerrm;
    end;
  end if;
  -- As pgmq.send_batch() does it, at half the cost.
  execute format(
    'with sent as (
      insert into pgmq.%I (vt, message) select $1, unnest($2) returning msg_id
    )
    select array_agg(s.msg_id) from sent s', 'q_' || p_queue_name
  ) into v_msgs using clock_timestamp(), p_messages;

  with step as (
    select *
    from unnest(p_task_uuids, p_step_nos, p_states, p_attempts, v_msgs)
      as q(task_uuid, step_no, state, attempt, msg_id)
  ), enqueued as (
    update tasker.steps s set state = 'enqueued', msg_id = q.msg_id, enqueued_at = p_now
    from step q
    where s.task_uuid = q.task_uuid and s.step_no = q.step_no
  )
  insert into tasker.step_transitions
    (task_uuid, at, step_no, attempt, from_state, to_state, actor)
  select q.task_uuid, p_now, q.step_no, q.attempt, q.state, 'enqueued', p_processor
  from step q;

  perform pg_notify('pgmq.q_' || p_queue_name || '.INSERT', '');
  return null;
end
$_$;


--
-- Name: extend_leases(text, uuid[], integer[], integer[], bigint); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.extend_leases(p_worker text, p_task_uuids uuid[], p_step_nos integer[], p_receipts integer[], p_lease_ms bigint) RETURNS TABLE("position" integer, reason text)
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_material TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
  v_now timestamptz := tasker.now();
  v_group record;
  v_problem text;
begin
  perform set_config('synchronous_commit', 'off', true);

  for v_group in
    with held as materialized (
      select s.step_no, s.template_id, s.msg_id, s.started_at, l.position
      from unnest(p_task_uuids, p_step_nos, p_receipts) with ordinality
        as l(task_uuid, step_no, receipt, position)
      join tasker.steps s on s.task_uuid = l.task_uuid and s.step_no = l.step_no
        and s.receipt = l.receipt and s.state = 'in_progress' and s.worker = p_worker
    ), extended as (
      select n.queue_name, h.msg_id, h.position,
        least(
          p_lease_ms,
          extract(epoch from
            h.started_at + (ts.timeout_ms + tasker.timeout_grace_ms()) * interval '1 ms' - v_now
          ) * 1000
        )::bigint as extension_ms
      from held h
      join tasker.templates t on t.template_id = h.template_id
      join tasker.namespaces n on n.namespace = t.namespace
      join tasker.template_steps ts on ts.template_id = h.template_id and ts.step_no = h.step_no
    )
    select queue_name as name, extension_ms, array_agg(msg_id order by msg_id) as msg_ids,
      array_agg(position::int) as positions
    from extended
    where extension_ms > 0
    group by queue_name, extension_ms
  loop
    v_problem := tasker.delay_messages(v_group.name, v_group.msg_ids, v_group.extension_ms);
    if v_problem is not null then
      return query
      select f.position, 'failed: ' || v_problem from unnest(v_group.positions) as f(position);
    end if;
  end loop;

  return query
  select l.position::int,
    case when s.task_uuid is null then 'stale' else 'cancelled' end
  from unnest(p_task_uuids, p_step_nos, p_receipts) with ordinality
    as l(task_uuid, step_no, receipt, position)
  left join tasker.steps s on s.task_uuid = l.task_uuid and s.step_no = l.step_no
    and s.receipt = l.receipt and s.state = 'in_progress' and s.worker = p_worker
  left join tasker.tasks t on t.task_uuid = s.task_uuid
  where s.task_uuid is null or t.state = 'cancelled'
  order by l.position;
end
$$;


--
-- Name: find_ready_tasks(bigint, integer, text[]); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.find_ready_tasks(p_age_ms bigint, p_limit integer, p_namespaces text[] DEFAULT NULL::text[]) RETURNS TABLE(task_uuid uuid, namespace text, priority integer, ready_steps integer, ready_since timestamp with time zone, ready_for_ms double precision)
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
  v_now timestamptz := tasker.now();
begin
  return query
  select r.task_uuid, t.namespace, r.priority, count(*)::int, min(r.ready_at),
    extract(epoch from v_now - min(r.ready_at))::double precision * 1000
  from (
    select * from (
      select f.* from tasker.ready_steps f
      where p_namespaces is null
      order by f.priority desc, f.ready_no
      limit p_limit
    ) everywhere
    union all
    select * from (
      select f.*
      from unnest(tasker.ready_templates(p_namespaces)) as w(template_id)
      cross join lateral (
        select * from tasker.ready_steps r
        where r.template_id = w.template_id
        order by r.priority desc, r.ready_no
        limit p_limit
      ) f
      where p_namespaces is not null
      order by f.priority desc, f.ready_no
      limit p_limit
    ) there
  ) r
  join tasker.templates t on t.template_id = r.template_id
  where r.ready_at <= v_now - p_age_ms * interval '1 ms'
  group by r.task_uuid, t.namespace, r.priority
  order by r.priority desc, min(r.ready_no);
end
$$;


--
-- Name: step_is_sound(tasker.step_state, integer, bigint); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.step_is_sound(p_state tasker.step_state, p_waiting_on integer, p_msg_id bigint) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
begin
  return (p_msg_id is not null) = (p_state in ('enqueued', 'in_progress'))
    and (
      p_waiting_on = 0
      or p_waiting_on > 0 and p_state in ('pending', 'cancelled', 'skipped', 'resolved_manually')
    );
end
$$;


--
-- Name: task_is_sound(tasker.task_state, timestamp with time zone, integer, integer); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.task_is_sound(p_state tasker.task_state, p_finished_at timestamp with time zone, p_active_steps integer, p_failed_steps integer) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
begin
  return p_active_steps >= 0 and p_failed_steps >= 0 and case
    when p_state in ('pending', 'in_progress') then p_finished_at is null and p_active_steps > 0
    else p_finished_at is not null and (p_state <> 'complete' or p_failed_steps = 0)
  end;
end
$$;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: steps; Type: TABLE; Schema: tasker; Owner: -
--

CREATE TABLE tasker.steps (
    task_uuid uuid NOT NULL,
    msg_id bigint,
    enqueued_at timestamp with time zone,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    input_bytes bigint DEFAULT 0 NOT NULL,
    step_no integer NOT NULL,
    template_id integer NOT NULL,
    state tasker.step_state DEFAULT 'pending'::tasker.step_state NOT NULL,
    waiting_on integer NOT NULL,
    attempt integer DEFAULT 0 NOT NULL,
    max_attempts integer NOT NULL,
    receipt integer DEFAULT 0 NOT NULL,
    result_bytes integer DEFAULT 0 NOT NULL,
    worker text,
    result jsonb,
    error jsonb,
    CONSTRAINT a_step_is_sound CHECK (tasker.step_is_sound(state, waiting_on, msg_id))
)
WITH (fillfactor='50');


--
-- Name: tasks; Type: TABLE; Schema: tasker; Owner: -
--

CREATE TABLE tasker.tasks (
    task_uuid uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    template_id integer NOT NULL,
    state tasker.task_state DEFAULT 'pending'::tasker.task_state NOT NULL,
    priority integer NOT NULL,
    active_steps integer NOT NULL,
    failed_steps integer DEFAULT 0 NOT NULL,
    context jsonb NOT NULL,
    idempotency_key text,
    reason text,
    listed_as tasker.task_state GENERATED ALWAYS AS (
CASE state
    WHEN 'pending'::tasker.task_state THEN 'in_progress'::tasker.task_state
    ELSE state
END) STORED NOT NULL,
    CONSTRAINT a_task_is_sound CHECK (tasker.task_is_sound(state, finished_at, active_steps, failed_steps))
)
WITH (fillfactor='50');


--
-- Name: find_step(tasker.tasks, text); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.find_step(p_task tasker.tasks, p_step_name text) RETURNS tasker.steps
    LANGUAGE plpgsql
    AS $$
declare
  v_step tasker.steps;
begin
  select s.* into v_step
  from tasker.steps s
  join tasker.template_steps ts on ts.template_id = p_task.template_id and ts.step_no = s.step_no
  where s.task_uuid = p_task.task_uuid and ts.name = p_step_name
  for no key update of s;
  if not found then
    raise exception using
      errcode = 'TK404',
      message = format('task %s has no step named %s', p_task.task_uuid, quote_ident(p_step_name)),
      hint = format('its steps are %s', (
        select string_agg(name, ', ' order by step_no) from (
          select name, step_no from tasker.template_steps
          where template_id = p_task.template_id order by step_no limit 50
        ) few
      ));
  end if;
  return v_step;
end
$$;


--
-- Name: find_tasks(text, integer); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.find_tasks(p_digits text, p_limit integer) RETURNS SETOF uuid
    LANGUAGE plpgsql STABLE
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
begin
  return query
  select f.task_uuid
  from (
    select b.task_uuid from (
      select t.task_uuid from tasker.tasks t
      where t.task_uuid between rpad(p_digits, 32, '0')::uuid and rpad(p_digits, 32, 'f')::uuid
      order by t.task_uuid desc limit p_limit
    ) b
    union
    select e.task_uuid from (
      select t.task_uuid from tasker.tasks t order by t.task_uuid desc limit 1000000
    ) e
    where length(p_digits) <= 8 and e.task_uuid::text like '%' || p_digits || '0000'
  ) f
  order by f.task_uuid desc
  limit p_limit;
end
$$;


--
-- Name: find_template(text, text, text); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.find_template(p_namespace text, p_name text, p_version text) RETURNS integer
    LANGUAGE plpgsql STABLE
    AS $$
declare
  v_template_id int;
  v_versions text;
  v_others text;
begin
  select template_id into v_template_id
  from tasker.templates
  where namespace = p_namespace and name = p_name and (p_version is null or version = p_version)
  order by version_order desc
  limit 1;
  if v_template_id is not null then
    return v_template_id;
  end if;

  select string_agg(version, ', ' order by version_order) into v_versions
  from tasker.templates
  where namespace = p_namespace and name = p_name;
  if v_versions is null then
    select string_agg(other, ', ') into v_others
    from (
      select namespace || '/' || name as other
      from tasker.templates
      group by namespace, name
      order by namespace = p_namespace desc, name = p_name desc,
        abs(length(name) - length(p_name)), namespace, name
      limit 200
    ) t;
    raise exception using
      errcode = 'TK404',
      message = format('there is no template %s/%s', p_namespace, p_name),
      detail = coalesce('there are ' || v_others, 'there are no templates'),
      hint = 'apply it with `tasker template apply FILE`; `tasker template list` shows what there is';
  end if;
  raise exception using
    errcode = 'TK404',
    message = format('template %s/%s has no version %s', p_namespace, p_name, p_version),
    hint = format('its versions are %s', v_versions);
end
$$;


--
-- Name: findings(); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.findings() RETURNS TABLE(check_name text, task_uuid uuid, step_name text, detail text)
    LANGUAGE plpgsql STABLE
    AS $$
#variable_conflict use_column
declare
  v_messages tasker.queued_message[] := tasker.queued_messages();
begin
  return query
  with satisfied as (
    select s.task_uuid, s.step_no from tasker.steps s
    where s.state in ('complete', 'skipped', 'resolved_manually')
  ), parent as (
    select s.task_uuid, s.step_no, count(*) filter (where d.step_no is null) as unsatisfied
    from tasker.steps s
    join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
    cross join unnest(ts.depends_on) as e(parent_no)
    left join satisfied d on d.task_uuid = s.task_uuid and d.step_no = e.parent_no
    group by s.task_uuid, s.step_no
  )
  select 'waiting_on_counts_unsatisfied_parents', s.task_uuid, ts.name,
    format('waiting_on is %s, but %s parents are not satisfied', s.waiting_on,
      coalesce(p.unsatisfied, 0))
  from tasker.steps s
  join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
  left join parent p on p.task_uuid = s.task_uuid and p.step_no = s.step_no
  where s.waiting_on <> coalesce(p.unsatisfied, 0);

  return query
  select 'task_counters_match_steps', t.task_uuid, null::text,
    format('active_steps is %s and failed_steps %s, but the steps amount to %s and %s',
      t.active_steps, t.failed_steps, coalesce(c.active, 0), coalesce(c.failed, 0))
  from tasker.tasks t
  left join (
    select s.task_uuid,
      count(*) filter (
        where s.state in ('enqueued', 'in_progress', 'waiting_for_retry')
          or s.state = 'pending' and s.waiting_on = 0
      ) as active,
      count(*) filter (where s.state = 'error') as failed
    from tasker.steps s
    group by s.task_uuid
  ) c on c.task_uuid = t.task_uuid
  where t.active_steps <> coalesce(c.active, 0) or t.failed_steps <> coalesce(c.failed, 0);

  return query
  select 'task_has_all_its_steps', t.task_uuid, null::text,
    format('it has %s steps, its template %s', count(s.step_no), tp.step_count)
  from tasker.tasks t
  join tasker.templates tp on tp.template_id = t.template_id
  left join tasker.steps s on s.task_uuid = t.task_uuid
  group by t.task_uuid, tp.step_count
  having count(s.step_no) <> tp.step_count;

  return query
  select 'task_state_fits_its_steps', t.task_uuid, ts.name,
    format('the task is %s while the step is %s', t.state, s.state)
  from tasker.tasks t
  join tasker.steps s on s.task_uuid = t.task_uuid
  join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
  where t.state = 'complete' and s.state not in ('complete', 'skipped', 'resolved_manually')
    or t.state = 'pending' and s.state <> 'pending'
    or t.state in ('error', 'resolved_manually')
      and s.state in ('enqueued', 'in_progress', 'waiting_for_retry')
    or t.state = 'cancelled' and s.state in ('pending', 'enqueued', 'waiting_for_retry');

  return query
  select 'no_task_is_stuck', s.task_uuid, ts.name,
    case s.state
      when 'pending' then 'it is ready, but nothing offers it to be claimed'
      when 'waiting_for_retry' then 'it waits for a retry that no timer will start'
      else format('it is %s, but message %s is not in its queue', s.state, s.msg_id)
    end
  from tasker.steps s
  join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
  left join tasker.ready_steps r on r.task_uuid = s.task_uuid and r.step_no = s.step_no
  left join tasker.timers w on w.task_uuid = s.task_uuid and w.step_no = s.step_no
  left join unnest(v_messages) m
    on m.task_uuid = s.task_uuid and m.msg_id = s.msg_id
  where s.state = 'pending' and s.waiting_on = 0 and r.ready_no is null
    or s.state = 'waiting_for_retry' and r.ready_no is null and w.due_at is null
    or s.state in ('enqueued', 'in_progress') and m.msg_id is null;

  return query
  select 'no_step_is_offered_twice', r.task_uuid, ts.name, format('%s ready rows', count(*))
  from tasker.ready_steps r
  join tasker.template_steps ts on ts.template_id = r.template_id and ts.step_no = r.step_no
  group by r.task_uuid, ts.name
  having count(*) > 1;

  return query
  select 'every_queue_can_be_used', null::uuid, null::text,
    format('namespace %s: %s', d.namespace, d.problem)
  from tasker.damaged_queues() d;

  return query
  select 'every_message_stands_for_a_step', m.task_uuid, null::text,
    format('message %s of %s stands for step %s, which does not wait for it',
      m.msg_id, m.queue_name, m.step_no)
  from unnest(v_messages) m
  left join tasker.steps s
    on s.task_uuid = m.task_uuid and s.msg_id = m.msg_id
  where s.task_uuid is null;

  return query
  select 'no_step_starts_before_its_parents_end', s.task_uuid, ts.name,
    format('it was enqueued at %s, its parent %s ended at %s',
      s.enqueued_at, pts.name, coalesce(p.finished_at::text, 'no time'))
  from tasker.steps s
  join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
  cross join unnest(ts.depends_on) as e(parent_no)
  join tasker.steps p on p.task_uuid = s.task_uuid and p.step_no = e.parent_no
  join tasker.template_steps pts on pts.template_id = p.template_id and pts.step_no = p.step_no
  where s.enqueued_at is not null
    and (p.state not in ('complete', 'skipped', 'resolved_manually')
      or p.finished_at > s.enqueued_at);

  return query
  select 'no_step_completes_twice', l.task_uuid, ts.name, format('%s completions', l.completions)
  from (
    select l.task_uuid, l.step_no, count(*) as completions
    from tasker.step_transitions l
    where l.to_state = 'complete'
    group by l.task_uuid, l.step_no
    having count(*) > 1
  ) l
  join tasker.tasks t on t.task_uuid = l.task_uuid
  join tasker.template_steps ts on ts.template_id = t.template_id and ts.step_no = l.step_no;

  return query
  select 'the_log_leads_to_the_state', s.task_uuid, ts.name,
    format('the log goes from %s to %s, but the step is %s',
      coalesce(l.from_state::text, 'nowhere'), coalesce(l.last_state::text, 'pending'), s.state)
  from tasker.steps s
  join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
  left join (
    select task_uuid, step_no, last_value(to_state) over moves as last_state, from_state,
      lag(to_state, 1, 'pending') over moves <> from_state as broken,
      row_number() over (partition by task_uuid, step_no order by transition_no desc) as back
    from tasker.step_transitions
    window moves as (partition by task_uuid, step_no order by transition_no)
  ) l on l.task_uuid = s.task_uuid and l.step_no = s.step_no and (l.broken or l.back = 1)
  where l.broken or coalesce(l.last_state, 'pending') <> s.state;

  return query
  select 'the_log_leads_to_the_state', t.task_uuid, null::text,
    format('the log goes from %s to %s, but the task is %s',
      coalesce(l.from_state::text, 'nowhere'), coalesce(l.last_state::text, 'pending'), t.state)
  from tasker.tasks t
  left join (
    select task_uuid, to_state as last_state, from_state,
      lag(to_state, 1, 'pending') over moves <> from_state as broken,
      row_number() over (partition by task_uuid order by transition_no desc) as back
    from tasker.task_transitions
    window moves as (partition by task_uuid order by transition_no)
  ) l on l.task_uuid = t.task_uuid and (l.broken or l.back = 1)
  where l.broken or coalesce(l.last_state, 'pending') <> t.state;
end
$$;


--
-- Name: fire_due_timers(integer, boolean); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.fire_due_timers(p_limit integer, p_announce boolean DEFAULT false, OUT fired integer, OUT woken_queues text[], OUT next_due_ms bigint) RETURNS record
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $_$
declare
  -- Until a queue is looked at again in which messages wait that nobody received, or that is locked:
  -- leases may have run out among them.
  c_visible_again_ms constant bigint := 5000;
  v_now timestamptz := tasker.now();
  v_queue text;
  v_due timestamptz;
  v_due_ms bigint;
  v_visible boolean;
  v_clock timestamptz;
  v_announce text;
  v_lock_timeout text := current_setting('lock_timeout');
begin
  perform set_config('synchronous_commit', 'off', true);
  if not exists (select from tasker.queues_intact) then
    perform tasker.refill_queues();
  end if;
  if exists (select from tasker.queues_to_refill where retry_at <= v_now) then
    perform tasker.refill_one_queue();
  end if;
  if not p_announce then
    v_announce := tasker.suppress_notify();
  end if;

  with due as (
    select ctid from tasker.timers
    where due_at <= v_now
    order by due_at
    limit p_limit
    for update skip locked
  ), gone as (
    delete from tasker.timers t using due d where t.ctid = d.ctid
    returning t.task_uuid, t.step_no, t.due_at
  ), made_ready as (
    insert into tasker.ready_steps (task_uuid, step_no, template_id, priority, ready_at, cause)
    select g.task_uuid, g.step_no, t.template_id, t.priority, v_now, 'retry'
    from gone g
    join tasker.tasks t on t.task_uuid = g.task_uuid
    order by g.due_at
    returning 1
  )
  select count(*) into fired from made_ready;
  if v_announce is not null then
    perform set_config('tasker.announce', v_announce, true);
  end if;

  select ceil(extract(epoch from least(
      (select min(due_at) from tasker.timers), (select min(retry_at) from tasker.queues_to_refill)
    ) - v_now) * 1000)
  into next_due_ms;

  woken_queues := '{}';
  v_clock := clock_timestamp();
  for v_queue in select queue_name from tasker.namespaces order by queue_name loop
    begin
      execute format('select exists (select from pgmq.%I where vt <= $1)', 'q_' || v_queue)
      into v_visible using v_clock;
      if v_visible then
        woken_queues := woken_queues || v_queue;
        perform pg_notify('pgmq.q_' || v_queue || '.INSERT', '');
        v_due_ms := c_visible_again_ms;
      else
        execute format('select min(vt) from pgmq.%I', 'q_' || v_queue) into v_due;
        v_due_ms := ceil(extract(epoch from v_due - v_clock) * 1000);
      end if;
      next_due_ms := least(next_due_ms, v_due_ms);
    exception
      when lock_not_available then
        perform set_config('lock_timeout', '1ms', true);
        next_due_ms := least(next_due_ms, c_visible_again_ms);
      when others then
        null;
    end;
  end loop;
  perform set_config('lock_timeout', v_lock_timeout, true);
  -- Not greatest(), which would turn "nothing waits" into "due now".
  if next_due_ms < 0 then
    next_due_ms := 0;
  end if;
end
$_$;


--
-- Name: first_task_uuid(timestamp with time zone); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.first_task_uuid(p_at timestamp with time zone) RETURNS uuid
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
  select (
    lpad(to_hex(
      least(greatest(floor(extract(epoch from p_at) * 1000), 0), 281474976710655)::bigint
    ), 12, '0') || '70008000000000000000'
  )::uuid
$$;


--
-- Name: forget_processes(); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.forget_processes() RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  -- Thousands of processes; reading so much takes a few milliseconds.
  c_large_bytes constant bigint := 4 * 1024 * 1024;
begin
  delete from tasker.processes p
  where p.registration_uuid = any(array(
    select f.registration_uuid from tasker.processes f
    where f.last_seen_at < clock_timestamp() - interval '60 s'
    limit 100
    for update skip locked
  ));
  if pg_relation_size('tasker.processes') > c_large_bytes then
    perform tasker.rewrite_table('tasker.processes');
  end if;
end
$$;


--
-- Name: free_dependents(uuid[], integer[], integer[], timestamp with time zone, text, bigint[], text[], bigint, integer, integer[]); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.free_dependents(p_task_uuids uuid[], p_step_nos integer[], p_template_ids integer[], p_now timestamp with time zone, p_worker text DEFAULT NULL::text, p_msg_ids bigint[] DEFAULT NULL::bigint[], p_handlers text[] DEFAULT NULL::text[], p_lease_ms bigint DEFAULT NULL::bigint, p_urgent integer DEFAULT NULL::integer, p_result_bytes integer[] DEFAULT NULL::integer[], OUT ready_tasks uuid[], OUT started_tasks uuid[], OUT started_steps integer[], OUT started_msgs bigint[], OUT followed_steps integer[], OUT lease_ms bigint[]) RETURNS record
    LANGUAGE plpgsql
    AS $$
declare
  -- What a dependent may be given to be started in the place of the step before it.
  c_most_bytes constant bigint := 1024 * 1024;
  v_urgent int;
begin
  if p_handlers is not null then
    select r.priority into v_urgent
    from tasker.ready_steps r
    order by r.priority desc, r.ready_no
    limit 1;
    v_urgent := greatest(v_urgent, p_urgent);
  end if;

  with freed as (
    select d.task_uuid, e.step_no, count(*)::int as parents,
      coalesce(sum(d.result_bytes), 0) as bytes,
      min(d.step_no) filter (where d.msg_id is not null) as parent_no,
      (array_agg(d.msg_id order by d.step_no) filter (where d.msg_id is not null))[1] as msg_id,
      min(ts.timeout_ms) as timeout_ms
    from unnest(p_task_uuids, p_step_nos, p_template_ids, p_msg_ids, p_result_bytes)
      as d(task_uuid, step_no, template_id, msg_id, result_bytes)
    join tasker.template_steps ts on ts.template_id = d.template_id and ts.step_no = d.step_no
    cross join unnest(ts.dependents) as e(step_no)
    group by d.task_uuid, e.step_no
  ), child as (
    select s.task_uuid, s.step_no, s.template_id, f.parents, g.bytes, f.msg_id, f.parent_no, t.priority,
      s.waiting_on = f.parents and s.state = 'pending' as is_ready,
      f.msg_id is not null and t.state = 'in_progress'
        and (v_urgent is null or t.priority >= v_urgent)
        and s.waiting_on = f.parents and s.state = 'pending'
        and s.input_bytes + g.bytes <= c_most_bytes
        and ts.handler = any(p_handlers) as may_start,
      case when least(f.timeout_ms, ts.timeout_ms) + tasker.timeout_grace_ms() < p_lease_ms
        then least(ts.timeout_ms + tasker.timeout_grace_ms(), p_lease_ms) end as lease_ms
    from freed f
    -- By their whole keys, as in tasker.describe_steps().
    cross join lateral (
      select * from tasker.steps s
      where s.task_uuid = f.task_uuid and s.step_no = f.step_no
      offset 0
    ) s
    cross join lateral (
      select * from tasker.tasks t where t.task_uuid = f.task_uuid offset 0
    ) t
    cross join lateral (
      select * from tasker.template_steps ts
      where ts.template_id = s.template_id and ts.step_no = s.step_no
      offset 0
    ) ts
    cross join lateral (
      select case ts.dependency_results when 'inline' then f.bytes else 0 end as bytes
    ) g
  ), chosen as (
    select c.*,
      c.may_start and row_number() over (
        partition by c.task_uuid, c.parent_no, c.may_start order by c.step_no
      ) = 1 as starts
    from child c
  ), counted as (
    update tasker.steps s
    set waiting_on = s.waiting_on - c.parents,
      input_bytes = s.input_bytes + c.bytes,
      state = case when c.starts then 'in_progress' else s.state end,
      attempt = s.attempt + coalesce(c.starts, false)::int,
      receipt = s.receipt + coalesce(c.starts, false)::int,
      msg_id = case when c.starts then c.msg_id else s.msg_id end,
      worker = case when c.starts then p_worker else s.worker end,
      enqueued_at = case when c.starts then p_now else s.enqueued_at end,
      started_at = case when c.starts then p_now else s.started_at end
    from chosen c
    where s.task_uuid = c.task_uuid and s.step_no = c.step_no
    returning s.task_uuid, s.step_no, s.template_id, s.attempt, s.msg_id, c.parent_no, c.priority,
      c.lease_ms, c.is_ready, coalesce(c.starts, false) as starts
  ), logged as (
    insert into tasker.step_transitions
      (task_uuid, at, step_no, attempt, from_state, to_state, actor)
    select c.task_uuid, p_now, c.step_no, c.attempt, 'pending', 'in_progress', p_worker
    from counted c
    where c.starts
  ), made_ready as (
    insert into tasker.ready_steps (task_uuid, step_no, template_id, priority, ready_at)
    select c.task_uuid, c.step_no, c.template_id, c.priority, p_now
    from counted c
    where c.is_ready and not c.starts
  )
  select
    coalesce(array_agg(c.task_uuid) filter (where c.is_ready and not c.starts), '{}'),
    coalesce(array_agg(c.task_uuid) filter (where c.starts), '{}'),
    coalesce(array_agg(c.step_no) filter (where c.starts), '{}'),
    coalesce(array_agg(c.msg_id) filter (where c.starts), '{}'),
    coalesce(array_agg(c.parent_no) filter (where c.starts), '{}'),
    coalesce(array_agg(c.lease_ms) filter (where c.starts), '{}')
  into ready_tasks, started_tasks, started_steps, started_msgs, followed_steps, lease_ms
  from counted c;
end
$$;


--
-- Name: get_step(uuid, text); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.get_step(p_task_uuid uuid, p_step_name text) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
declare
  v_template_id int;
  v_step_no int;
begin
  select template_id into v_template_id from tasker.tasks where task_uuid = p_task_uuid;
  if not found then
    raise exception using
      errcode = 'TK404', message = format('there is no task %s', p_task_uuid);
  end if;
  select step_no into v_step_no
  from tasker.template_steps
  where name = p_step_name and template_id = v_template_id;
  if not found then
    raise exception using
      errcode = 'TK404',
      message = format('task %s has no step named %s', p_task_uuid, quote_ident(p_step_name)),
      hint = format('its steps are %s', (
        select string_agg(name, ', ' order by step_no) from (
          select name, step_no from tasker.template_steps
          where template_id = v_template_id order by step_no limit 50
        ) few
      ));
  end if;
  return tasker.get_task(p_task_uuid, v_step_no) #> '{steps,0}';
end
$$;


--
-- Name: get_task(uuid, integer); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.get_task(p_task_uuid uuid, p_step_no integer DEFAULT NULL::integer) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
declare
  -- PostgreSQL builds no document above 256 MB; long before that it takes the memory of the program
  -- that reads it, which holds it several times over, as text with up to six bytes for one.
  c_most_bytes constant bigint := 32 * 1024 * 1024;
  v_omits_results boolean := false;
begin
  if p_step_no is null then
    select coalesce(sum(result_bytes), 0) > c_most_bytes into v_omits_results
    from tasker.steps
    where task_uuid = p_task_uuid;
  end if;

  return (
    select jsonb_build_object(
      'task_uuid', t.task_uuid, 'namespace', tp.namespace, 'name', tp.name, 'version', tp.version,
      'state', t.state, 'priority', t.priority, 'context', t.context,
      'idempotency_key', t.idempotency_key, 'reason', t.reason,
      'created_at', t.created_at, 'started_at', t.started_at, 'finished_at', t.finished_at,
      'execution_status', (
        select execution_status from tasker.get_task_execution_context(t.task_uuid)
      ),
      'results_omitted', v_omits_results,
      'steps', (
        select jsonb_agg(
          jsonb_build_object(
            'name', ts.name, 'step_uuid', tasker.step_uuid(s.task_uuid, s.step_no),
            'state', s.state, 'handler', ts.handler, 'input', ts.input,
            'depends_on', array(
              select p.name from tasker.template_steps p
              where p.template_id = ts.template_id and p.step_no = any(ts.depends_on)
              order by p.step_no
            ),
            'attempts', s.attempt, 'max_attempts', s.max_attempts,
            'result', case when not v_omits_results then s.result end,
            'result_bytes', s.result_bytes,
            'error', case when s.state <> 'in_progress' then s.error end, 'worker', s.worker,
            'enqueued_at', s.enqueued_at, 'started_at', s.started_at, 'finished_at', s.finished_at,
            'retry_at', r.due_at,
            'waits_for', case when s.state = 'enqueued' and ts.handler <> all(k.handlers) then
              'worker_for_handler'
            end
          )
          order by s.step_no
        )
        from tasker.steps s
        join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
        left join tasker.timers r on r.task_uuid = s.task_uuid and r.step_no = s.step_no
        where s.task_uuid = t.task_uuid
          and s.step_no between coalesce(p_step_no, 1) and coalesce(p_step_no, 65535)
      )
    )
    from tasker.tasks t
    join tasker.templates tp on tp.template_id = t.template_id
    cross join lateral (
      select case when t.active_steps > 0 then tasker.known_handlers(tp.namespace) end as handlers
      offset 0
    ) k
    where t.task_uuid = p_task_uuid
  );
end
$$;


--
-- Name: get_task_execution_context(uuid); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.get_task_execution_context(p_task_uuid uuid) RETURNS TABLE(task_uuid uuid, total_steps integer, pending_steps integer, ready_steps integer, enqueued_steps integer, in_progress_steps integer, waiting_for_retry_steps integer, completed_steps integer, failed_steps integer, cancelled_steps integer, execution_status text)
    LANGUAGE plpgsql STABLE
    AS $$
#variable_conflict use_column
begin
  return query
  with counted as (
    select t.task_uuid, t.state,
      count(*)::int as total,
      (count(*) filter (where s.state = 'pending'))::int as pending,
      (count(*) filter (where s.state = 'pending' and s.waiting_on = 0))::int as ready,
      (count(*) filter (where s.state = 'enqueued'))::int as enqueued,
      (count(*) filter (where s.state = 'in_progress'))::int as in_progress,
      (count(*) filter (where s.state = 'waiting_for_retry'))::int as waiting,
      (count(*) filter (
        where s.state in ('complete', 'skipped', 'resolved_manually')
      ))::int as completed,
      (count(*) filter (where s.state = 'error'))::int as failed,
      (count(*) filter (where s.state = 'cancelled'))::int as cancelled
    from tasker.tasks t
    join tasker.steps s on s.task_uuid = t.task_uuid
    where t.task_uuid = p_task_uuid
    group by t.task_uuid
  )
  select task_uuid, total, pending, ready, enqueued, in_progress, waiting, completed, failed,
    cancelled,
    case
      when ready > 0 then 'has_ready_steps'
      when enqueued + in_progress > 0 then 'processing'
      when waiting > 0 then 'waiting'
      when state = 'cancelled' then 'cancelled'
      when failed > 0 then 'blocked_by_failures'
      else 'all_complete'
    end
  from counted;
end
$$;


--
-- Name: has_handler_index(text); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.has_handler_index(p_queue_name text) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
declare
  v_table regclass := to_regclass(format('pgmq.%I', 'q_' || p_queue_name));
begin
  return case when v_table is not null then exists (
    select from pg_index i where i.indrelid = v_table and i.indexprs is not null
  ) end;
end
$$;


--
-- Name: is_live(timestamp with time zone); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.is_live(p_last_seen_at timestamp with time zone) RETURNS boolean
    LANGUAGE sql
    AS $$
  select p_last_seen_at > clock_timestamp() - interval '30 s'
$$;


--
-- Name: is_step_message(jsonb); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.is_step_message(p_message jsonb) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $_$
begin
  return coalesce(
    p_message ->> 'task_uuid' ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
      and p_message ->> 'step_no' ~ '^[1-9]\d{0,4}$'
      and jsonb_typeof(p_message -> 'handler') = 'string',
    false
  );
end
$_$;


--
-- Name: json_path_segment(text); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.json_path_segment(p_key text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
  select case when p_key ~ '^[A-Za-z_$][A-Za-z0-9_$-]*$' then '.' || p_key
    else format('[%s]', to_jsonb(left(p_key, 60))) end;
$_$;


--
-- Name: json_schema_array_mismatch(jsonb, jsonb, jsonb, integer); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.json_schema_array_mismatch(p_root jsonb, p_schema jsonb, p_value jsonb, p_depth integer) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
declare
  v_length int := jsonb_array_length(p_value);
  v_prefix int := coalesce(jsonb_array_length(p_schema -> 'prefixItems'), 0);
  v_count int := 0;
  v_item jsonb;
  v_index int := 0;
  v_error text;
begin
  if v_length < (p_schema -> 'minItems')::numeric then
    return format(': has fewer than %s items', p_schema -> 'minItems');
  elsif v_length > (p_schema -> 'maxItems')::numeric then
    return format(': has more than %s items', p_schema -> 'maxItems');
  elsif p_schema -> 'uniqueItems' = 'true'
    and v_length > (select count(distinct item) from jsonb_array_elements(p_value) as item)
  then
    return ': has an item twice';
  end if;

  if v_prefix > 0 or p_schema ?| '{items,contains}' then
    for v_item in select jsonb_array_elements(p_value) loop
      v_error := tasker.json_schema_mismatch(
        p_root,
        case when v_index < v_prefix then p_schema -> 'prefixItems' -> v_index
          else coalesce(p_schema -> 'items', 'true') end,
        v_item, p_depth + 1);
      if v_error is not null then
        return format('[%s]%s', v_index, v_error);
      end if;
      if p_schema ? 'contains' then
        v_count := v_count + (tasker.json_schema_mismatch(
          p_root, p_schema -> 'contains', v_item, p_depth + 1) is null)::int;
      end if;
      v_index := v_index + 1;
    end loop;
  end if;

  if p_schema ? 'contains' then
    if v_count < coalesce((p_schema -> 'minContains')::numeric, 1) then
      return format(': has fewer than %s items that match the schema of contains',
        coalesce(p_schema ->> 'minContains', '1'));
    elsif v_count > (p_schema -> 'maxContains')::numeric then
      return format(': has more than %s items that match the schema of contains',
        p_schema -> 'maxContains');
    end if;
  end if;
  return null;
end
$$;


--
-- Name: json_schema_count_flaw(jsonb); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.json_schema_count_flaw(p_value jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  select case when jsonb_typeof(p_value) <> 'number' then ': expected a whole number from 0'
    when p_value::numeric < 0 or p_value::numeric <> trunc(p_value::numeric)
      then ': expected a whole number from 0' end;
$$;


--
-- Name: json_schema_error(jsonb, jsonb); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.json_schema_error(p_schema jsonb, p_value jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
declare
  v_error text;
begin
  if p_schema is null then
    return null;
  end if;
  v_error := tasker.json_schema_mismatch(p_schema, p_schema, coalesce(p_value, 'null'), 0);
  return case when v_error is not null then regexp_replace(v_error, '^(\.|: )', '') end;
end
$$;


--
-- Name: json_schema_flaw(jsonb, jsonb, integer); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.json_schema_flaw(p_root jsonb, p_schema jsonb, p_depth integer) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $_$
declare
  v_keyword text;
  v_value jsonb;
  v_flaw text;
begin
  if jsonb_typeof(p_schema) = 'boolean' then
    return null;
  elsif jsonb_typeof(p_schema) <> 'object' then
    return format(': expected a schema, found %s', jsonb_typeof(p_schema));
  elsif p_depth > 64 then
    return ': schemas nested deeper than 64';
  end if;
  for v_keyword, v_value in select key, value from jsonb_each(p_schema) loop
    v_flaw := case
      when v_keyword in ('default', 'const') then null
      when v_keyword in ('$schema', '$id', '$defs') and p_depth > 0 then
        ': only allowed at the root of the schema'
      when v_keyword in ('$schema', '$id', '$comment', 'title', 'description', 'pattern') then
        case when jsonb_typeof(v_value) <> 'string' then ': expected a string' end
      when v_keyword in ('deprecated', 'readOnly', 'writeOnly', 'uniqueItems') then
        case when jsonb_typeof(v_value) <> 'boolean' then ': expected true or false' end
      when v_keyword in ('enum', 'examples') then
        case when jsonb_typeof(v_value) <> 'array' then ': expected an array' end
      when v_keyword in ('minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum') then
        case when jsonb_typeof(v_value) <> 'number' then ': expected a number' end
      when v_keyword = 'multipleOf' then
        case when v_value is null or jsonb_typeof(v_value) <> 'number' or v_value <= '0' then
          ': expected a number above 0' end
      when v_keyword in (
        'minLength', 'maxLength', 'minItems', 'maxItems', 'minContains', 'maxContains',
        'minProperties', 'maxProperties'
      ) then tasker.json_schema_count_flaw(v_value)
      when v_keyword = 'required' then tasker.json_schema_strings_flaw(v_value)
      when v_keyword = 'type' then tasker.json_schema_type_flaw(v_value)
      when v_keyword = '$ref' then tasker.json_schema_reference_flaw(p_root, v_value)
      when v_keyword in (
        'additionalProperties', 'propertyNames', 'items', 'contains', 'not', 'if', 'then', 'else'
      ) then tasker.json_schema_flaw(p_root, v_value, p_depth + 1)
      when v_keyword in ('prefixItems', 'allOf', 'anyOf', 'oneOf') then
        tasker.json_schema_list_flaw(p_root, v_value, p_depth + 1)
      when v_keyword in ('properties', 'patternProperties', '$defs', 'dependentRequired') then
        tasker.json_schema_map_flaw(p_root, v_keyword, v_value, p_depth + 1)
      else format(': the keyword `%s` is not honoured', v_keyword)
    end;
    if v_flaw is null and v_keyword = 'pattern' then
      v_flaw := tasker.json_schema_pattern_flaw(v_value #>> '{}');
    end if;
    if v_flaw like ': the keyword %' then
      return v_flaw;
    elsif v_flaw is not null then
      return tasker.json_path_segment(v_keyword) || v_flaw;
    end if;
  end loop;
  return null;
end
$_$;


--
-- Name: json_schema_list_flaw(jsonb, jsonb, integer); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.json_schema_list_flaw(p_root jsonb, p_schemas jsonb, p_depth integer) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
declare
  v_flaw text;
begin
  if jsonb_typeof(p_schemas) <> 'array' or p_schemas = '[]' then
    return ': expected an array of schemas, at least one';
  end if;
  for v_index in 0 .. jsonb_array_length(p_schemas) - 1 loop
    v_flaw := tasker.json_schema_flaw(p_root, p_schemas -> v_index, p_depth);
    if v_flaw is not null then
      return format('[%s]%s', v_index, v_flaw);
    end if;
  end loop;
  return null;
end
$$;


--
-- Name: json_schema_logic_mismatch(jsonb, jsonb, jsonb, integer); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.json_schema_logic_mismatch(p_root jsonb, p_schema jsonb, p_value jsonb, p_depth integer) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $_$
declare
  v_target jsonb;
  v_error text;
  v_first_error text;
  v_count int := 0;
begin
  if p_schema -> 'const' <> p_value then
    return format(': is not %s', left((p_schema -> 'const')::text, 200));
  end if;
  if p_schema ? 'enum' and p_value not in (select jsonb_array_elements(p_schema -> 'enum')) then
    return format(': is none of %s', left((p_schema -> 'enum')::text, 200));
  end if;

  if p_schema ? '$ref' then
    v_target := tasker.json_schema_reference(p_root, p_schema ->> '$ref');
    if v_target is null then
      raise exception using
        errcode = 'TK400',
        message = format('the input schema has nothing at %s', p_schema ->> '$ref');
    end if;
    v_error := tasker.json_schema_mismatch(p_root, v_target, p_value, p_depth + 1);
    if v_error is not null then
      return v_error;
    end if;
  end if;

  for v_index in 0 .. coalesce(jsonb_array_length(p_schema -> 'allOf'), 0) - 1 loop
    v_error := tasker.json_schema_mismatch(
      p_root, p_schema -> 'allOf' -> v_index, p_value, p_depth + 1);
    if v_error is not null then
      return v_error;
    end if;
  end loop;

  for v_index in 0 .. coalesce(jsonb_array_length(p_schema -> 'anyOf'), 0) - 1 loop
    v_error := tasker.json_schema_mismatch(
      p_root, p_schema -> 'anyOf' -> v_index, p_value, p_depth + 1);
    exit when v_error is null;
    v_first_error := coalesce(v_first_error, v_error);
  end loop;
  if v_error is not null then
    return format(': matches no schema of anyOf; the first says %s',
      regexp_replace(v_first_error, '^(\.|: )', ''));
  end if;

  if p_schema ? 'oneOf' then
    v_first_error := null;
    for v_index in 0 .. coalesce(jsonb_array_length(p_schema -> 'oneOf'), 0) - 1 loop
      v_error := tasker.json_schema_mismatch(
        p_root, p_schema -> 'oneOf' -> v_index, p_value, p_depth + 1);
      v_count := v_count + (v_error is null)::int;
      v_first_error := coalesce(v_first_error, v_error);
    end loop;
    if v_count = 0 then
      return format(': matches no schema of oneOf; the first says %s',
        regexp_replace(v_first_error, '^(\.|: )', ''));
    elsif v_count > 1 then
      return format(': matches %s schemas of oneOf, not one', v_count);
    end if;
  end if;

  if p_schema ? 'not'
    and tasker.json_schema_mismatch(p_root, p_schema -> 'not', p_value, p_depth + 1) is null
  then
    return ': matches the schema of not';
  end if;

  if p_schema ? 'if' and p_schema ?| '{then,else}' then
    v_target := p_schema -> case
      when tasker.json_schema_mismatch(p_root, p_schema -> 'if', p_value, p_depth + 1) is null
        then 'then'
      else 'else' end;
    if v_target is not null then
      return tasker.json_schema_mismatch(p_root, v_target, p_value, p_depth + 1);
    end if;
  end if;
  return null;
end
$_$;


--
-- Name: json_schema_map_flaw(jsonb, text, jsonb, integer); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.json_schema_map_flaw(p_root jsonb, p_keyword text, p_map jsonb, p_depth integer) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
declare
  v_key text;
  v_value jsonb;
  v_flaw text;
begin
  if jsonb_typeof(p_map) <> 'object' then
    return format(': expected an object, found %s', jsonb_typeof(p_map));
  end if;
  for v_key, v_value in select key, value from jsonb_each(p_map) loop
    if p_keyword = 'patternProperties' then
      v_flaw := tasker.json_schema_pattern_flaw(v_key);
    end if;
    v_flaw := coalesce(v_flaw, case p_keyword
      when 'dependentRequired' then tasker.json_schema_strings_flaw(v_value)
      else tasker.json_schema_flaw(p_root, v_value, p_depth) end);
    if v_flaw is not null then
      return tasker.json_path_segment(v_key) || v_flaw;
    end if;
  end loop;
  return null;
end
$$;


--
-- Name: json_schema_mismatch(jsonb, jsonb, jsonb, integer); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.json_schema_mismatch(p_root jsonb, p_schema jsonb, p_value jsonb, p_depth integer) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $_$
declare
  v_kind text := jsonb_typeof(p_value);
  v_type text;
  v_key text;
  v_error text;
begin
  if jsonb_typeof(p_schema) = 'boolean' then
    return case when not p_schema::boolean then ': is not allowed' end;
  end if;
  if p_depth > 64 then
    raise exception using
      errcode = 'TK400',
      message = 'the input schema applies more than 64 schemas inside each other',
      hint = 'does a $ref lead back to itself without going deeper into the value?';
  end if;

  v_type := p_schema ->> 'type';
  if v_type <> v_kind and not (
    p_schema -> 'type' @> to_jsonb(v_kind)
    or v_kind = 'number' and p_schema -> 'type' @> '"integer"'
      and p_value::numeric = trunc(p_value::numeric)
  ) then
    return format(': expected %s, found %s', replace(translate(v_type, '[]"', ''), ',', ' or'),
      case v_kind when 'number' then left(p_value::text, 40) else v_kind end);
  end if;

  if p_schema ?| '{enum,const,$ref,allOf,anyOf,oneOf,not,if}' then
    v_error := tasker.json_schema_logic_mismatch(p_root, p_schema, p_value, p_depth);
    if v_error is not null then
      return v_error;
    end if;
  end if;

  case v_kind
    when 'object' then
      for v_index in 0 .. coalesce(jsonb_array_length(p_schema -> 'required'), 0) - 1 loop
        v_key := p_schema -> 'required' ->> v_index;
        if not p_value ? v_key then
          return tasker.json_path_segment(v_key) || ': is missing';
        end if;
      end loop;
      if p_schema ? 'properties' then
        select tasker.json_path_segment(found.key) || found.error into v_error
        from (
          select
            key,
            tasker.json_schema_mismatch(p_root, value, p_value -> key, p_depth + 1) as error
          from jsonb_each(p_schema -> 'properties')
          where p_value ? key
        ) as found
        where found.error is not null
        limit 1;
        if found then
          return v_error;
        end if;
      end if;
      if p_schema ?| '{additionalProperties,patternProperties,propertyNames,dependentRequired,
        minProperties,maxProperties}'
      then
        return tasker.json_schema_object_mismatch(p_root, p_schema, p_value, p_depth);
      end if;
    when 'array' then
      return tasker.json_schema_array_mismatch(p_root, p_schema, p_value, p_depth);
    when 'string' then
      return case
        when char_length(p_value #>> '{}') < (p_schema -> 'minLength')::numeric then
          format(': is shorter than %s characters', p_schema -> 'minLength')
        when char_length(p_value #>> '{}') > (p_schema -> 'maxLength')::numeric then
          format(': is longer than %s characters', p_schema -> 'maxLength')
        when p_value #>> '{}' !~ (p_schema ->> 'pattern') then
          format(': does not match the pattern %s', p_schema ->> 'pattern')
      end;
    when 'number' then
      return case
        when p_value::numeric < (p_schema -> 'minimum')::numeric then
          format(': is less than %s', p_schema -> 'minimum')
        when p_value::numeric > (p_schema -> 'maximum')::numeric then
          format(': is more than %s', p_schema -> 'maximum')
        when p_value::numeric <= (p_schema -> 'exclusiveMinimum')::numeric then
          format(': is not more than %s', p_schema -> 'exclusiveMinimum')
        when p_value::numeric >= (p_schema -> 'exclusiveMaximum')::numeric then
          format(': is not less than %s', p_schema -> 'exclusiveMaximum')
        when mod(p_value::numeric, (p_schema -> 'multipleOf')::numeric) <> 0 then
          format(': is not a multiple of %s', p_schema -> 'multipleOf')
      end;
    else
      return null;
  end case;
  return null;
end
$_$;


--
-- Name: json_schema_object_mismatch(jsonb, jsonb, jsonb, integer); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.json_schema_object_mismatch(p_root jsonb, p_schema jsonb, p_value jsonb, p_depth integer) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
declare
  v_count int;
  v_key text;
  v_item jsonb;
  v_pattern text;
  v_pattern_schema jsonb;
  v_is_additional boolean;
  v_error text;
begin
  if p_schema ?| '{minProperties,maxProperties}' then
    select count(*) into v_count from jsonb_object_keys(p_value);
    if v_count < (p_schema -> 'minProperties')::numeric then
      return format(': has fewer than %s properties', p_schema -> 'minProperties');
    elsif v_count > (p_schema -> 'maxProperties')::numeric then
      return format(': has more than %s properties', p_schema -> 'maxProperties');
    end if;
  end if;

  if p_schema ? 'dependentRequired' then
    select format('%s: is missing, because %s is given',
      tasker.json_path_segment(required.key), to_jsonb(given.key))
    into v_error
    from jsonb_each(p_schema -> 'dependentRequired') as given(key, keys)
    cross join jsonb_array_elements_text(given.keys) as required(key)
    where p_value ? given.key and not p_value ? required.key
    limit 1;
    if found then
      return v_error;
    end if;
  end if;

  if not p_schema ?| '{additionalProperties,patternProperties,propertyNames}' then
    return null;
  end if;
  for v_key, v_item in select key, value from jsonb_each(p_value) loop
    if p_schema ? 'propertyNames' then
      v_error := tasker.json_schema_mismatch(
        p_root, p_schema -> 'propertyNames', to_jsonb(v_key), p_depth + 1);
      if v_error is not null then
        return format('%s: the name %s', tasker.json_path_segment(v_key), substr(v_error, 3));
      end if;
    end if;
    v_is_additional := not coalesce(p_schema -> 'properties' ? v_key, false);
    if p_schema ? 'patternProperties' then
      for v_pattern, v_pattern_schema in
        select key, value from jsonb_each(p_schema -> 'patternProperties') where v_key ~ key
      loop
        v_is_additional := false;
        v_error := tasker.json_schema_mismatch(p_root, v_pattern_schema, v_item, p_depth + 1);
        if v_error is not null then
          return tasker.json_path_segment(v_key) || v_error;
        end if;
      end loop;
    end if;
    if v_is_additional and p_schema ? 'additionalProperties' then
      v_error := tasker.json_schema_mismatch(
        p_root, p_schema -> 'additionalProperties', v_item, p_depth + 1);
      if v_error is not null then
        return tasker.json_path_segment(v_key) || v_error;
      end if;
    end if;
  end loop;
  return null;
end
$$;


--
-- Name: json_schema_pattern_flaw(text); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.json_schema_pattern_flaw(p_pattern text) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
  if tasker.may_refer_back(p_pattern) then
    return format(': a backreference like `\1` can take exponential time, in %s '
      '(write out what it repeats, or check it in a handler)', p_pattern);
  end if;
  perform '' ~ p_pattern;
  return null;
exception when invalid_regular_expression then
  return format(': %s, in %s', sqlerrm, p_pattern);
end
$$;


--
-- Name: json_schema_reference(jsonb, text); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.json_schema_reference(p_root jsonb, p_reference text) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
  select case
    when p_reference = '#' then p_root
    when p_reference ~ '^#/\$defs/[^/%]*$' then
      p_root -> '$defs' -> replace(replace(substr(p_reference, 9), '~1', '/'), '~0', '~')
  end;
$_$;


--
-- Name: json_schema_reference_flaw(jsonb, jsonb); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.json_schema_reference_flaw(p_root jsonb, p_value jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
  select case
    when jsonb_typeof(p_value) <> 'string' then ': expected a string'
    when tasker.json_schema_reference(p_root, p_value #>> '{}') is null then
      format(': there is nothing at %s; references are # and #/$defs/name', p_value)
  end;
$_$;


--
-- Name: json_schema_refusal(jsonb); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.json_schema_refusal(p_schema jsonb) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return regexp_replace(tasker.json_schema_flaw(p_schema, p_schema, 0), '^(\.|: )', '');
end
$$;


--
-- Name: json_schema_strings_flaw(jsonb); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.json_schema_strings_flaw(p_value jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
  select case when jsonb_typeof(p_value) <> 'array'
    or jsonb_path_exists(p_value, 'strict $[*] ? (@.type() != "string")')
    then ': expected an array of strings' end;
$_$;


--
-- Name: json_schema_type_flaw(jsonb); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.json_schema_type_flaw(p_value jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  select case
    when p_value = '[]'
      or not p_value <@ '["null", "boolean", "object", "array", "number", "integer", "string"]'
    then ': expected the name of a type or an array of names' end;
$$;


--
-- Name: known_handlers(text); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.known_handlers(p_namespace text) RETURNS text[]
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return array(
    select distinct h.handler
    from tasker.processes p
    cross join unnest(p.handlers) as h(handler)
    where p.role = 'worker' and p.places > 0 and tasker.is_live(p.last_seen_at)
      and (p.namespaces = '{}' or p_namespace = any(p.namespaces))
  );
end
$$;


--
-- Name: list_processes(); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.list_processes() RETURNS TABLE(identity text, role text, host text, pid integer, version text, mode text, namespaces text[], handlers text[], places integer, taken integer, started_at timestamp with time zone, last_seen_at timestamp with time zone, last_seen_seconds_ago double precision, silent boolean)
    LANGUAGE sql STABLE
    AS $$
  select p.identity, p.role, p.host, p.pid, p.version, p.mode, p.namespaces, p.handlers, p.places,
    p.taken, p.started_at, p.last_seen_at,
    greatest(extract(epoch from clock_timestamp() - p.last_seen_at), 0)::double precision,
    not tasker.is_live(p.last_seen_at)
  from tasker.processes p
  order by p.role, p.identity, p.started_at
  limit 10000
$$;


--
-- Name: list_queues(); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.list_queues() RETURNS TABLE(namespace text, queue_name text, length bigint, visible bigint, oldest_message_age_seconds double precision, workers integer, places integer, taken integer, without_worker jsonb, problem text)
    LANGUAGE plpgsql
    SET lock_timeout TO '100ms'
    AS $_$
#variable_conflict use_column
begin
  for namespace, queue_name in
    select n.namespace, n.queue_name from tasker.namespaces n order by n.namespace
  loop
    select count(*), coalesce(sum(p.places), 0), coalesce(sum(p.taken), 0)
    into workers, places, taken
    from tasker.processes p
    where p.role = 'worker' and tasker.is_live(p.last_seen_at)
      and (p.namespaces = '{}' or namespace = any(p.namespaces));
    length := null;
    visible := null;
    oldest_message_age_seconds := null;
    without_worker := '[]';
    problem := null;
    begin
      execute format(
        'select count(*), count(*) filter (where q.vt <= $1),
          extract(epoch from $1 - min(q.enqueued_at))::double precision
        from pgmq.%I q', 'q_' || queue_name
      ) into length, visible, oldest_message_age_seconds using clock_timestamp();
      if visible > 0 then
        select coalesce(
          jsonb_agg(jsonb_build_object('handler', m.handler, 'steps', m.steps)), '[]'
        ) into without_worker
        from tasker.missing_handlers(queue_name, tasker.known_handlers(namespace), 100) m;
      end if;
    exception
      when lock_not_available then
        problem := sqlerrm;
        -- However many are locked, the call waits for one.
        perform set_config('lock_timeout', '1ms', true);
      when others then
        problem := sqlerrm;
    end;
    return next;
  end loop;
end
$_$;


--
-- Name: list_tasks(text, text, tasker.task_state, uuid, integer, timestamp with time zone, timestamp with time zone, text, text, text); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.list_tasks(p_namespace text, p_name text, p_state tasker.task_state, p_before uuid, p_limit integer, p_since timestamp with time zone DEFAULT NULL::timestamp with time zone, p_until timestamp with time zone DEFAULT NULL::timestamp with time zone, p_key text DEFAULT NULL::text, p_step text DEFAULT NULL::text, p_error text DEFAULT NULL::text) RETURNS SETOF jsonb
    LANGUAGE plpgsql STABLE
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
    AS $_$
declare
  v_finds_failures boolean := p_step is not null or p_error is not null;
  v_wanted tasker.task_state := case when v_finds_failures then coalesce(p_state, 'error')
    else p_state end;
  v_listed_as tasker.task_state := case v_wanted when 'pending' then 'in_progress' else v_wanted end;
  v_last uuid := least(p_before, tasker.first_task_uuid(p_until));
  v_templates int[];
  v_keyed uuid[];
  v_restricted text := '';
  v_before text;
  v_failed text;
begin
  -- No step of a complete task failed; nobody has to walk through all of them to see that.
  if v_finds_failures and v_wanted = 'complete' then
    return;
  end if;
  if p_key is not null then
    v_keyed := array(
      select (
        select k.task_uuid from tasker.idempotency_keys k
        where k.namespace = t.namespace and k.name = t.name and k.idempotency_key = p_key
      )
      from tasker.templates t
      where (p_namespace is null or t.namespace = p_namespace)
        and (p_name is null or t.name = p_name)
      group by t.namespace, t.name
    );
  elsif p_namespace is not null or p_name is not null then
    v_templates := array(
      select template_id from tasker.templates
      where (p_namespace is null or namespace = p_namespace) and (p_name is null or name = p_name)
    );
  end if;

  -- The step that failed. A subquery that answers one row is run for each task by itself, which no
  -- plan can turn into a join that reads the steps of all tasks.
  v_failed := ' from tasker.steps s where s.task_uuid = t.task_uuid and s.state = ''error'''
    || case when p_step is null then '' else ' and s.step_no = (
      select d.step_no from tasker.template_steps d
      where d.name = $5 and d.template_id = t.template_id
    )' end
    || case when p_error is null then '' else ' and strpos(
      lower(concat_ws('': '', s.error ->> ''kind'', s.error ->> ''message'')), lower($6)
    ) > 0' end
    || ' order by s.step_no limit 1';

  -- The restrictions are spelled out so that each combination is planned by itself. Of each
  -- template the latest are taken before all are merged: nothing else finds those of a template
  -- that was last used long ago. Where there is a choice, pages begin by comparing rows, which only
  -- the index that is meant can do.
  if v_wanted = 'complete' then
    v_restricted := ' and t.state = ''complete''';
  elsif v_wanted is not null then
    v_restricted := ' and t.state = ' || quote_literal(v_wanted)
      || ' and t.listed_as = ' || quote_literal(v_listed_as);
  end if;
  if p_since is not null then
    v_restricted := v_restricted || ' and t.task_uuid >= $4';
  end if;
  if v_finds_failures then
    v_restricted := v_restricted || ' and t.failed_steps > 0 and (select true' || v_failed || ')';
  end if;
  v_before := case
    when v_last is null and v_templates is null then ''
    when v_keyed is not null then ' and t.task_uuid < $2'
    when v_wanted <> 'complete' then ' and (t.listed_as, t.task_uuid) < ('
      || quote_literal(v_listed_as) || ', $2)'
    when v_templates is null then ' and t.task_uuid < $2'
    else ' and (t.template_id, t.task_uuid) < (w.template_id, $2)'
  end;
  return query execute
    'select jsonb_build_object(
      ''task_uuid'', t.task_uuid, ''namespace'', tp.namespace, ''name'', tp.name,
      ''version'', tp.version, ''state'', t.state, ''priority'', t.priority,
      ''created_at'', t.created_at, ''started_at'', t.started_at, ''finished_at'', t.finished_at,
      ''failed_step'', case when t.failed_steps > 0 then (
        select jsonb_build_object(
          ''name'', (
            select d.name from tasker.template_steps d
            where d.template_id = s.template_id and d.step_no = s.step_no
          ),
          ''kind'', s.error ->> ''kind'', ''message'', left(s.error ->> ''message'', 500)
        )' || v_failed || '
      ) end
    )
    from '
    || case when v_keyed is not null then 'unnest($7) as w(task_uuid)
    cross join lateral (
      select * from tasker.tasks t where t.task_uuid = w.task_uuid' || v_restricted || v_before || '
      offset 0
    ) t' when v_templates is null then '(
      select * from tasker.tasks t where true' || v_restricted || v_before || '
      order by t.task_uuid desc limit $3
    ) t' else 'unnest($1) as w(template_id)
    cross join lateral (
      select * from tasker.tasks t where t.template_id = w.template_id'
        || v_restricted || v_before || '
      order by t.task_uuid desc limit $3
    ) t' end || '
    join tasker.templates tp on tp.template_id = t.template_id
    order by t.task_uuid desc limit $3'
    using v_templates, coalesce(v_last, 'ffffffff-ffff-ffff-ffff-ffffffffffff'), p_limit,
      tasker.first_task_uuid(p_since), p_step, p_error, v_keyed;
end
$_$;


--
-- Name: lock_task(uuid); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.lock_task(p_task_uuid uuid) RETURNS tasker.tasks
    LANGUAGE plpgsql
    AS $$
declare
  v_task tasker.tasks;
begin
  select * into v_task from tasker.tasks where task_uuid = p_task_uuid for no key update;
  if not found then
    raise exception using
      errcode = 'TK404', message = format('there is no task %s', p_task_uuid);
  end if;
  return v_task;
end
$$;


--
-- Name: locked_positions(uuid[], integer[]); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.locked_positions(p_task_uuids uuid[], p_step_nos integer[]) RETURNS integer[]
    LANGUAGE plpgsql
    AS $$
declare
  v_tasks uuid[];
  v_steps uuid[];
begin
  v_tasks := array(
    select t.task_uuid from tasker.tasks t
    where t.task_uuid = any(p_task_uuids)
    order by t.task_uuid
    for no key update skip locked
  );
  v_steps := array(
    select tasker.step_uuid(s.task_uuid, s.step_no)
    from unnest(p_task_uuids, p_step_nos) as r(task_uuid, step_no)
    cross join lateral (
      select * from tasker.steps s
      where s.task_uuid = r.task_uuid and s.step_no = r.step_no and s.task_uuid = any(v_tasks)
      for no key update skip locked
    ) s
  );
  return array(
    select r.position::int
    from unnest(p_task_uuids, p_step_nos) with ordinality as r(task_uuid, step_no, position)
    where tasker.step_uuid(r.task_uuid, r.step_no) <> all(v_steps)
      and exists (
        select from tasker.steps s where s.task_uuid = r.task_uuid and s.step_no = r.step_no
      )
    order by 1
  );
end
$$;


--
-- Name: may_refer_back(text); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.may_refer_back(p_pattern text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  select p_pattern ~ '^([^\\]|\\.)*\\[1-9]|^([^\\]|\\[^c]|\\c.)*\\[1-9]';
$$;


--
-- Name: missing_handlers(text, text[], integer); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.missing_handlers(p_queue_name text, p_known text[], p_limit integer) RETURNS TABLE(handler text, steps integer)
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
    AS $_$
begin
  if tasker.has_handler_index(p_queue_name) is not true then
    raise undefined_object using
      message = format('the queue %s is missing, or its index by handler is', p_queue_name);
  end if;
  return query execute format(
    'with recursive present as (
      (
        select (q.message ->> ''handler'') collate "C" as handler from pgmq.%1$I q
        where (q.message ->> ''handler'') collate "C" is not null
        order by (q.message ->> ''handler'') collate "C"
        limit 1
      )
      union all
      select (
        select (q.message ->> ''handler'') collate "C" from pgmq.%1$I q
        where (q.message ->> ''handler'') collate "C" > p.handler
        order by (q.message ->> ''handler'') collate "C"
        limit 1
      )
      from present p
      where p.handler is not null
    )
    select m.handler, w.steps
    from (select p.handler from present p where p.handler is not null limit 1000) m
    cross join lateral (
      select count(*)::int as steps
      from (
        select q.vt from pgmq.%1$I q
        where (q.message ->> ''handler'') collate "C" = m.handler
        order by (q.message ->> ''handler'') collate "C" desc, q.message -> ''priority'',
          q.msg_id desc
        limit 1000
      ) q
      where q.vt <= $2
    ) w
    where m.handler <> all($1) and w.steps > 0
    limit $3', 'q_' || p_queue_name
  ) using p_known, clock_timestamp(), p_limit;
end
$_$;


--
-- Name: most_urgent_message(text[], text[], bigint[]); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.most_urgent_message(p_namespaces text[], p_handlers text[], p_msg_ids bigint[] DEFAULT '{}'::bigint[]) RETURNS integer
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    AS $_$
declare
  v_queue text;
  v_priority jsonb;
  v_most_urgent int;
begin
  for v_queue in
    select n.queue_name
    from tasker.namespaces n
    where n.namespace = any(p_namespaces)
  loop
    begin
      execute format(
        'select f.priority
        from unnest($1) as h(handler)
        cross join lateral (
          select q.message -> ''priority'' as priority from pgmq.%I q
          where (q.message ->> ''handler'') collate "C" = h.handler and q.vt <= $2
            and q.msg_id <> all($3)
          order by q.message -> ''priority'' desc, q.msg_id
          limit 1
        ) f
        order by f.priority desc
        limit 1', 'q_' || v_queue
      ) into v_priority using p_handlers, clock_timestamp(), p_msg_ids;
    exception when others then
      -- From a queue that cannot be read no worker receives anything.
      v_priority := null;
    end;
    if jsonb_typeof(v_priority) = 'number' then
      v_most_urgent := greatest(
        v_most_urgent, least(32767, greatest(-32768, v_priority::numeric))::int
      );
    end if;
  end loop;
  return v_most_urgent;
end
$_$;


--
-- Name: new_task_uuid(); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.new_task_uuid() RETURNS uuid
    LANGUAGE sql
    AS $$
  select encode(
    overlay(
      set_bit(set_bit(
        overlay(
          uuid_send(gen_random_uuid())
          placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
          from 1 for 6
        ), 52, 1), 53, 1)
      placing '\x0000'::bytea from 15 for 2
    ), 'hex')::uuid
$$;


--
-- Name: notify_namespace_created(); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.notify_namespace_created() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  perform pg_notify(
    tasker.channel('namespace_created'), jsonb_build_object('namespace', namespace)::text
  )
  from new_rows;
  return null;
end
$$;


--
-- Name: notify_namespace_removed(); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.notify_namespace_removed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  perform pg_notify(
    tasker.channel('namespace_removed'), jsonb_build_object('namespace', namespace)::text
  )
  from old_rows;
  return null;
end
$$;


--
-- Name: notify_task_ready_on_step_transition(); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.notify_task_ready_on_step_transition() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
declare
  -- The step that an operator has just moved in this transaction: its UUID and its state.
  v_moved text[] := string_to_array(nullif(current_setting('tasker.moved_step', true), ''), ' ');
  v_step_uuid uuid := v_moved[1];
begin
  if current_setting('tasker.announce', true) = 'off' then
    return null;
  end if;
  perform tasker.announce_ready_tasks(
    array_agg(t.task_uuid), array_agg(t.ready_steps), array_agg(t.step_uuid), v_moved[2],
    t.triggered_by
  )
  from (
    select r.task_uuid, count(*) as ready_steps,
      case when tasker.step_uuid(r.task_uuid, 0) = tasker.step_uuid(v_step_uuid, 0)
        then v_step_uuid end as step_uuid,
      case when bool_and(r.cause = 'task_start') then 'task_start' else 'step_transition' end
        as triggered_by
    from new_rows r
    group by r.task_uuid
  ) t
  group by t.triggered_by;
  return null;
end
$$;


--
-- Name: notify_task_state_change(); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.notify_task_state_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  if current_setting('tasker.announce', true) = 'off' then
    return null;
  end if;
  perform tasker.announce_task_states(array_agg(n.task_uuid), n.to_state)
  from new_rows n
  group by n.to_state;
  return null;
end
$$;


--
-- Name: now(); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.now() RETURNS timestamp with time zone
    LANGUAGE sql
    AS $$
  select coalesce(
    nullif(current_setting('tasker.now', true), '')::timestamptz,
    clock_timestamp()
  )
$$;


--
-- Name: pass_used_numbers(text); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.pass_used_numbers(p_namespace text) RETURNS void
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_sort TO 'on'
    SET jit TO 'off'
    AS $$
declare
  v_sequence regclass;
  v_highest bigint;
begin
  select pg_get_serial_sequence(format('pgmq.%I', 'q_' || queue_name), 'msg_id') into v_sequence
  from tasker.namespaces where namespace = p_namespace;
  select max(s.msg_id) into v_highest
  from tasker.tasks t
  cross join lateral (
    select s.msg_id from tasker.steps s
    where s.task_uuid = t.task_uuid and s.msg_id is not null
    offset 0
  ) s
  where t.listed_as in ('in_progress', 'cancelled') and t.active_steps > 0
    and t.template_id = any(array(
      select template_id from tasker.templates where namespace = p_namespace
    ));
  if v_highest > nextval(v_sequence) then
    perform setval(v_sequence, v_highest);
  end if;
end
$$;


--
-- Name: prepared_receipt(text, boolean); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.prepared_receipt(p_queue_name text, p_aged boolean) RETURNS text
    LANGUAGE plpgsql
    AS $$
declare
  v_name text;
  v_is_prepared boolean;
begin
  -- Another version of the statement has another name: a session outlives upgrades.
  select 'receipt_' || left(p_aged::text, 1) || f.xmin || '_' || p_queue_name,
    exists (
      select from pg_prepared_statements s
      where s.name = 'receipt_' || left(p_aged::text, 1) || f.xmin || '_' || p_queue_name
    )
  into v_name, v_is_prepared
  from pg_proc f
  where f.proname = 'receipt_statement' and f.pronamespace = to_regnamespace('tasker');
  if not v_is_prepared then
    execute format(
      'prepare %I (timestamptz, text[], int, int, interval) as %s',
      v_name, tasker.receipt_statement(p_queue_name, p_aged)
    );
  end if;
  return v_name;
end
$$;


--
-- Name: process_is_alive(text); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.process_is_alive(p_identity text) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return exists (
    select from tasker.processes p
    where p.identity = p_identity and p.role = 'worker' and tasker.is_live(p.last_seen_at)
  );
end
$$;


--
-- Name: process_seen(uuid, integer, integer); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.process_seen(p_registration_uuid uuid, p_places integer, p_taken integer) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
declare
  v_known boolean;
begin
  perform set_config('synchronous_commit', 'off', true);
  update tasker.processes
  set places = p_places, taken = p_taken, last_seen_at = clock_timestamp()
  where registration_uuid = p_registration_uuid;
  v_known := found;
  perform tasker.forget_processes();
  return v_known;
end
$$;


--
-- Name: queue_tables(); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.queue_tables() RETURNS regclass[]
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return '{tasker.ready_steps, tasker.timers}'::regclass[] || array(
    select c.oid::regclass
    from tasker.namespaces n
    join pg_class c on c.oid = to_regclass(format('pgmq.%I', 'q_' || n.queue_name))
    order by n.queue_name
  );
end
$$;


--
-- Name: queued_handlers(text); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.queued_handlers(p_queue_name text) RETURNS text[]
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_sort TO 'off'
    AS $_$
declare
  v_handlers text[];
begin
  execute format(
    'with recursive present as (
      (
        select (q.message ->> ''handler'') collate "C" as handler from pgmq.%1$I q
        where (q.message ->> ''handler'') collate "C" > ''''
        order by (q.message ->> ''handler'') collate "C"
        limit 1
      )
      union all
      select (
        select (q.message ->> ''handler'') collate "C" from pgmq.%1$I q
        where (q.message ->> ''handler'') collate "C" > p.handler
        order by (q.message ->> ''handler'') collate "C"
        limit 1
      )
      from present p
      where p.handler is not null
    )
    select array_agg(p.handler) filter (where p.handler is not null) from present p',
    'q_' || p_queue_name
  ) into v_handlers;
  return coalesce(v_handlers, '{}');
end
$_$;


--
-- Name: queued_messages(); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.queued_messages() RETURNS tasker.queued_message[]
    LANGUAGE plpgsql STABLE
    AS $$
declare
  v_all tasker.queued_message[] := '{}';
  v_some tasker.queued_message[];
  v_queue text;
begin
  for v_queue in select queue_name from tasker.namespaces loop
    begin
      execute format(
        'select array_agg(row(
          %L, msg_id, (message ->> ''task_uuid'')::uuid, (message ->> ''step_no'')::int
        )::tasker.queued_message)
        from pgmq.%I
        where tasker.is_step_message(message)', v_queue, 'q_' || v_queue
      ) into v_some;
      v_all := v_all || coalesce(v_some, '{}');
    exception when others then
      null;
    end;
  end loop;
  return v_all;
end
$$;


--
-- Name: queues_without_messages(); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.queues_without_messages() RETURNS TABLE(namespace text)
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return query
  select distinct t.namespace
  from tasker.steps s
  join tasker.templates t on t.template_id = s.template_id
  left join unnest(tasker.queued_messages()) m
    on m.task_uuid = s.task_uuid and m.msg_id = s.msg_id
  where s.msg_id is not null and m.msg_id is null;
end
$$;


--
-- Name: readiness_payload(uuid, text, integer, bigint, text, uuid, text, text); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.readiness_payload(p_task_uuid uuid, p_namespace text, p_priority integer, p_ready_steps bigint, p_triggered_by text, p_step_uuid uuid, p_step_state text, p_task_state text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  select json_strip_nulls(json_build_object(
    'task_count', 1,
    'task_uuid', p_task_uuid,
    'namespace', p_namespace,
    'priority', p_priority,
    'ready_steps', p_ready_steps,
    'triggered_by', p_triggered_by,
    'step_uuid', p_step_uuid,
    'step_state', case when p_step_uuid is not null then p_step_state end,
    'task_state', p_task_state
  ))::text
$$;


--
-- Name: ready_templates(text[]); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.ready_templates(p_namespaces text[]) RETURNS integer[]
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return array(
    with recursive present as (
      (select r.template_id from tasker.ready_steps r order by r.template_id limit 1)
      union all
      select (
        select r.template_id from tasker.ready_steps r
        where r.template_id > p.template_id
        order by r.template_id
        limit 1
      )
      from present p
      where p.template_id is not null
    )
    select t.template_id
    from present p
    join tasker.templates t on t.template_id = p.template_id
    where t.namespace = any(p_namespaces)
  );
end
$$;


--
-- Name: receipt_statement(text, boolean); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.receipt_statement(p_queue_name text, p_aged boolean) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    AS $_$
begin
  return format(
    'with candidate as materialized (%2$s), first as materialized (
      select l.row_id
      from candidate c
      cross join lateral (
        select q.ctid as row_id, q.msg_id, q.message from pgmq.%1$I q
        where q.ctid = c.row_id and q.vt <= $1
        for update skip locked
      ) l
      left join lateral (
        select true as is_locked from tasker.steps s
        where s.task_uuid = (l.message ->> ''task_uuid'')::uuid
          and s.step_no = (l.message ->> ''step_no'')::int and s.msg_id = l.msg_id
        for no key update skip locked
      ) s on true
      where s.is_locked or not exists (
        select from tasker.steps s
        where s.task_uuid = (l.message ->> ''task_uuid'')::uuid
          and s.step_no = (l.message ->> ''step_no'')::int and s.msg_id = l.msg_id
      )
      limit $4
    ), read as (
      update pgmq.%1$I q set vt = $1 + $5, read_ct = q.read_ct + 1
      where q.ctid = any(array(select f.row_id from first f))
      returning q.msg_id, q.message
    )
    select array_agg(m.msg_id), array_agg((m.message ->> ''task_uuid'')::uuid),
      array_agg((m.message ->> ''step_no'')::int), (select count(*) from candidate)
    from (select * from read r order by r.message -> ''priority'' desc, r.msg_id) m',
    'q_' || p_queue_name,
    format(
      case when p_aged then
        'with recursive level as (
          select h.handler, (
            select q.message -> ''priority'' from pgmq.%1$I q
            where (q.message ->> ''handler'') collate "C" = h.handler
            order by q.message -> ''priority''
            limit 1
          ) as priority, 1 as levels
          from unnest($2) as h(handler)
          union all
          select l.handler, (
            select q.message -> ''priority'' from pgmq.%1$I q
            where (q.message ->> ''handler'') collate "C" = l.handler
              and q.message -> ''priority'' > l.priority
            order by q.message -> ''priority''
            limit 1
          ), l.levels + 1
          from level l
          where l.priority is not null and l.levels < 64
        )
        select o.row_id
        from level l
        cross join lateral (
          select q.ctid as row_id, q.msg_id from pgmq.%1$I q
          where (q.message ->> ''handler'') collate "C" = l.handler
            and q.message -> ''priority'' between l.priority and l.priority and q.vt <= $1
          order by q.message -> ''priority'' desc, q.msg_id
          limit $3
        ) o
        order by o.msg_id
        limit $3'
      else
        'select c.row_id
        from unnest($2) as h(handler)
        cross join lateral (
          select q.ctid as row_id, q.message -> ''priority'' as priority, q.msg_id
          from pgmq.%1$I q
          where (q.message ->> ''handler'') collate "C" = h.handler and q.vt <= $1
          order by q.message -> ''priority'' desc, q.msg_id
          limit $3
        ) c
        order by c.priority desc, c.msg_id
        limit $3'
      end, 'q_' || p_queue_name
    )
  );
end
$_$;


--
-- Name: receive_from_queue(text, text, integer, integer, bigint, text[], bigint, bigint, boolean, boolean); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.receive_from_queue(p_namespace text, p_worker text, p_limit integer, p_aged integer, p_lease_ms bigint, p_handlers text[], p_bytes_left bigint, p_max_bytes bigint, p_prepares boolean, p_guarded boolean, OUT tasks uuid[], OUT steps integer[], OUT msgs bigint[], OUT came_back boolean[], OUT bytes bigint, OUT left_out boolean, OUT problem text) RETURNS record
    LANGUAGE plpgsql
    AS $$
declare
  -- Passes over a queue: each looks at eight times as many messages as the one before it, where
  -- others held those or their steps.
  c_passes constant int := 5;
  c_most_looked_at constant int := 20000;
  v_queue text;
  v_handlers text[] := p_handlers;
  v_left int := p_limit;
  v_depth int;
  v_now timestamptz;
  v_want int;
  v_seen int;
  v_msgs bigint[];
  v_tasks uuid[];
  v_steps int[];
  v_void bigint[];
  v_held record;
  v_passed_by boolean := false;
  v_is_full boolean := false;
  v_is_strange boolean;
  v_short record;
  v_lease interval := make_interval(secs => ceil(p_lease_ms / 1000.0));
begin
  if p_guarded then
    for v_attempt in 1..2 loop
      begin
        select r.* into tasks, steps, msgs, came_back, bytes, left_out, problem
        from tasker.receive_from_queue(
          p_namespace, p_worker, p_limit, p_aged, p_lease_ms, p_handlers, p_bytes_left, p_max_bytes,
          p_prepares, false
        ) r;
        return;
      exception
        when read_only_sql_transaction then
          raise;
        when others then
          problem := sqlerrm;
          if sqlstate = '55P03' then
            -- One such wait a call is enough.
            perform set_config('lock_timeout', '10ms', true);
          end if;
          v_is_strange := sqlstate in ('22P02', '22003');
      end;
      exit when not v_is_strange or v_attempt = 2;
      begin
        perform tasker.archive_strange_messages(queue_name) from tasker.namespaces
        where namespace = p_namespace;
      exception when others then
        problem := sqlerrm;
        return;
      end;
    end loop;
    return;
  end if;

  bytes := 0;
  left_out := false;
  select queue_name into v_queue from tasker.namespaces where namespace = p_namespace;
  if not found then
    return;
  end if;
  if v_handlers is null then
    v_handlers := tasker.queued_handlers(v_queue);
  end if;

  for v_pass in case when p_aged > 0 then 0 else 1 end .. c_passes loop
    v_want := case v_pass when 0 then p_aged else v_left end;
    v_depth := case v_pass
      when 0 then 2 * p_aged
      when 1 then 2 * v_left
      else greatest(v_depth, least(8 * v_depth, c_most_looked_at))
    end;
    if p_prepares then
      -- EXECUTE takes no parameters of plpgsql.
      execute format(
        'execute %I(%L, %L, %s, %s, %L)', tasker.prepared_receipt(v_queue, v_pass = 0),
        clock_timestamp(), v_handlers, v_depth, v_want, v_lease
      ) into v_msgs, v_tasks, v_steps, v_seen;
    else
      execute tasker.receipt_statement(v_queue, v_pass = 0) into v_msgs, v_tasks, v_steps, v_seen
      using clock_timestamp(), v_handlers, v_depth, v_want, v_lease;
    end if;
    v_passed_by := v_pass > 0 and coalesce(cardinality(v_msgs), 0) < least(v_want, v_seen);

    if v_msgs is not null then
      -- Read after the messages, so that no step starts before it was enqueued.
      v_now := tasker.now();
      -- A message whose step has ended may have been handed on to a dependent; one that stands for no
      -- step at all is void.
      v_void := null;
      if exists (
        select from unnest(v_msgs, v_tasks, v_steps) as m(msg_id, task_uuid, step_no)
        where not exists (
          select from tasker.steps s
          where s.task_uuid = m.task_uuid and s.step_no = m.step_no and s.msg_id = m.msg_id
        )
      ) then
        select array_agg(o.step_no order by m.position),
          array_agg(m.msg_id) filter (where o.step_no is null)
        into v_steps, v_void
        from unnest(v_msgs, v_tasks) with ordinality as m(msg_id, task_uuid, position)
        left join lateral (
          select s.step_no from tasker.steps s
          where s.task_uuid = m.task_uuid and s.msg_id = m.msg_id
          limit 1
        ) o on true;
      end if;

      with held as materialized (
        select s.task_uuid, s.step_no, s.template_id, s.msg_id, s.state, m.position,
          case when s.input_bytes > p_max_bytes then 0 else s.input_bytes end as bytes
        from unnest(v_msgs, v_tasks, v_steps) with ordinality
          as m(msg_id, task_uuid, step_no, position)
        join tasker.steps s
          on s.task_uuid = m.task_uuid and s.step_no = m.step_no and s.msg_id = m.msg_id
        for no key update of s skip locked
      ), weighed as materialized (
        select h.*, sum(h.bytes) over (order by h.position) + receive_from_queue.bytes
            <= p_bytes_left as fits
        from held h
      ), started as (
        update tasker.steps s
        set state = 'in_progress', attempt = s.attempt + 1, receipt = s.receipt + 1,
          started_at = v_now, worker = p_worker, error = null
        from weighed h
        where s.task_uuid = h.task_uuid and s.step_no = h.step_no and h.state = 'enqueued' and h.fits
        returning s.task_uuid, s.step_no, s.attempt
      ), logged as (
        insert into tasker.step_transitions
          (task_uuid, at, step_no, attempt, from_state, to_state, actor)
        select task_uuid, v_now, step_no, attempt, 'enqueued', 'in_progress', p_worker
        from started
      )
      select array_agg(h.task_uuid) filter (where h.fits) as tasks,
        array_agg(h.step_no) filter (where h.fits) as steps,
        array_agg(h.msg_id) filter (where h.fits) as msgs,
        array_agg(h.state = 'in_progress') filter (where h.fits) as came_back,
        coalesce(sum(h.bytes) filter (where h.fits), 0) as bytes,
        array_agg(h.msg_id) filter (where not h.fits) as too_many,
        min(ts.timeout_ms) as shortest_timeout_ms
      into v_held
      from weighed h
      join tasker.template_steps ts on ts.template_id = h.template_id and ts.step_no = h.step_no;

      tasks := tasks || v_held.tasks;
      steps := steps || v_held.steps;
      msgs := msgs || v_held.msgs;
      came_back := came_back || v_held.came_back;
      bytes := bytes + v_held.bytes;
      v_left := v_left - coalesce(cardinality(v_held.tasks), 0);

      -- A step with a timeout shorter than the lease comes back when that is over.
      if v_held.shortest_timeout_ms + tasker.timeout_grace_ms() < p_lease_ms then
        for v_short in
          select ts.timeout_ms, array_agg(m.msg_id) as msg_ids
          from unnest(v_held.msgs, v_held.tasks, v_held.steps) as m(msg_id, task_uuid, step_no)
          join tasker.tasks t on t.task_uuid = m.task_uuid
          cross join lateral (
            select ts.timeout_ms from tasker.template_steps ts
            where ts.template_id = t.template_id and ts.step_no = m.step_no
            offset 0
          ) ts
          where ts.timeout_ms + tasker.timeout_grace_ms() < p_lease_ms
          group by ts.timeout_ms
        loop
          perform tasker.delay_messages(
            v_queue, v_short.msg_ids, v_short.timeout_ms + tasker.timeout_grace_ms()
          );
        end loop;
      end if;

      if v_void is not null then
        perform tasker.delete_messages(v_queue, v_void);
      end if;
      -- What is too much comes back at once. Where another transaction holds the step that a message
      -- was handed on to, the message comes back soon and not after a lease.
      if v_held.too_many is not null then
        perform tasker.delay_messages(v_queue, v_held.too_many, 0);
        v_is_full := true;
      end if;
      if cardinality(v_msgs) > coalesce(cardinality(v_held.msgs), 0)
        + coalesce(cardinality(v_held.too_many), 0) + coalesce(cardinality(v_void), 0) then
        perform tasker.delay_messages(
          v_queue,
          array(
            select unnest(v_msgs) except select unnest(v_held.msgs)
            except select unnest(v_held.too_many) except select unnest(v_void)
          ),
          100
        );
        left_out := true;
      end if;
    end if;
    exit when v_left <= 0 or v_is_full
      or v_pass > 0 and v_seen < v_depth and coalesce(cardinality(v_msgs), 0) < v_want;
  end loop;
  left_out := left_out or v_is_full or v_passed_by and v_left > 0;
end
$$;


--
-- Name: receive_steps(text[], text, integer, bigint, text[], bigint, boolean); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.receive_steps(p_namespaces text[], p_worker text, p_limit integer, p_lease_ms bigint, p_handlers text[] DEFAULT NULL::text[], p_max_bytes bigint DEFAULT 67108864, p_guarded boolean DEFAULT true) RETURNS SETOF tasker.received_step
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
    AS $$
declare
  -- The plans of so many queues are some megabytes of a session.
  c_prepared_queues constant int := 32;
  v_namespace text;
  v_left int := p_limit;
  v_bytes_left bigint := p_max_bytes;
  v_aged int := 0;
  v_received record;
  v_notice tasker.received_step;
begin
  perform set_config('synchronous_commit', 'off', true);
  if exists (select from tasker.priorities_in_use offset 1) then
    v_aged := floor(p_limit / 10.0 + random());
  end if;

  foreach v_namespace in array p_namespaces loop
    -- Not at the bound of bytes either: what has to wait for that is to be named.
    exit when v_left <= 0;
    v_received := tasker.receive_from_queue(
      v_namespace, p_worker, v_left, least(v_aged, v_left), p_lease_ms, p_handlers, v_bytes_left,
      p_max_bytes, cardinality(p_namespaces) <= c_prepared_queues, p_guarded
    );
    if v_received.left_out or v_received.problem is not null then
      v_notice.namespace := v_namespace;
      v_notice.problem := v_received.problem;
      return next v_notice;
    end if;
    continue when v_received.tasks is null;
    v_left := v_left - cardinality(v_received.tasks);
    v_bytes_left := v_bytes_left - v_received.bytes;
    return query
    select * from tasker.describe_steps(
      v_received.tasks, v_received.steps, v_received.msgs, v_received.came_back, p_max_bytes
    );
  end loop;
end
$$;


--
-- Name: recent_transitions(bigint[], bigint[], bigint[], bigint[], uuid, integer); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.recent_transitions(p_task_from bigint[], p_task_to bigint[], p_step_from bigint[], p_step_to bigint[], p_submitted_after uuid, p_limit integer) RETURNS TABLE(transition_no bigint, at timestamp with time zone, task_uuid uuid, namespace text, template text, step_no integer, step_name text, attempt integer, from_state text, to_state text, actor text, reason text, error text)
    LANGUAGE plpgsql STABLE
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
begin
  return query
  with moved as (
    select t.transition_no, t.at, t.task_uuid, null::int as step_no, null::int as attempt,
      t.from_state::text, t.to_state::text, t.actor, t.reason, null::text as error
    from unnest(p_task_from, p_task_to) as r(first, last)
    join tasker.task_transitions t on t.transition_no between r.first and r.last
    union all
    select s.transition_no, s.at, s.task_uuid, s.step_no, s.attempt,
      s.from_state::text, s.to_state::text, s.actor, s.reason, s.error ->> 'kind'
    from unnest(p_step_from, p_step_to) as r(first, last)
    join tasker.step_transitions s on s.transition_no between r.first and r.last
    union all
    select null, n.created_at, n.task_uuid, null, null, null, 'pending', null, null, null
    from (
      select n.created_at, n.task_uuid from tasker.tasks n
      where n.task_uuid > p_submitted_after
      order by n.task_uuid
      limit p_limit
    ) n
  )
  select m.transition_no, m.at, m.task_uuid, t.namespace,
    t.namespace || '/' || t.name || '@' || t.version, m.step_no, ts.name, m.attempt, m.from_state,
    m.to_state, m.actor, m.reason, m.error
  from moved m
  join tasker.tasks k on k.task_uuid = m.task_uuid
  join tasker.templates t on t.template_id = k.template_id
  left join tasker.template_steps ts on ts.template_id = k.template_id and ts.step_no = m.step_no;
end
$$;


--
-- Name: refill_later(text, text); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.refill_later(p_namespace text, p_problem text) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  raise warning 'the queue of namespace % could not be refilled: %', p_namespace, p_problem;
  insert into tasker.queues_to_refill (namespace, retry_at)
  values (p_namespace, tasker.now() + interval '10 s')
  on conflict (namespace) do update set retry_at = excluded.retry_at;
end
$$;


--
-- Name: refill_one_queue(integer); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.refill_one_queue(p_lease_ms integer DEFAULT 30000) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  v_namespace text;
begin
  select namespace into v_namespace
  from tasker.queues_to_refill
  where retry_at <= tasker.now()
  order by retry_at
  limit 1
  for update skip locked;
  if not found then
    return;
  end if;
  begin
    perform tasker.pass_used_numbers(v_namespace);
    perform tasker.refill_queue(v_namespace, p_lease_ms);
  exception when others then
    perform tasker.refill_later(v_namespace, sqlerrm);
  end;
end
$$;


--
-- Name: refill_queue(text, integer); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.refill_queue(p_namespace text, p_lease_ms integer) RETURNS integer
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_sort TO 'on'
    SET jit TO 'off'
    AS $_$
declare
  v_queue text := (select queue_name from tasker.namespaces where namespace = p_namespace);
  v_tasks uuid[];
  v_priorities int[];
  v_made int;
begin
  -- Steps move under the lock of their task, so none ends between the look at it and its message.
  select array_agg(a.task_uuid), array_agg(a.priority) into v_tasks, v_priorities
  from (
    select t.task_uuid, t.priority
    from tasker.tasks t
    where t.listed_as in ('in_progress', 'cancelled') and t.active_steps > 0
      and t.template_id = any(array(
        select template_id from tasker.templates where namespace = p_namespace
      ))
    order by t.task_uuid
    for no key update
  ) a;
  execute format(
    'insert into pgmq.%I (msg_id, vt, message) overriding system value
    select s.msg_id,
      clock_timestamp() + case s.state when ''in_progress'' then $3 else 0 end * interval ''1 ms'',
      tasker.step_message(s.task_uuid, s.step_no, ts.handler, w.priority)
    from unnest($1, $2) as w(task_uuid, priority)
    cross join lateral (
      select * from tasker.steps s
      where s.task_uuid = w.task_uuid and s.msg_id is not null
      offset 0
    ) s
    join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
    order by s.enqueued_at
    on conflict do nothing', 'q_' || v_queue
  ) using v_tasks, v_priorities, p_lease_ms;
  get diagnostics v_made = row_count;
  delete from tasker.queues_to_refill where namespace = p_namespace;
  perform pg_notify('pgmq.q_' || v_queue || '.INSERT', '');
  return v_made;
end
$_$;


--
-- Name: refill_queues(integer); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.refill_queues(p_lease_ms integer DEFAULT 30000) RETURNS integer
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_sort TO 'on'
    SET jit TO 'off'
    AS $$
declare
  v_emptied text[];
  v_namespace text;
  v_is_numbered boolean;
  v_all int := 0;
begin
  perform pg_advisory_xact_lock(hashtext('tasker.refill_queues'));
  if exists (select from tasker.queues_intact) then
    return 0;
  end if;

  v_emptied := array(
    select n.namespace
    from tasker.namespaces n
    join pg_class c on c.oid = to_regclass(format('pgmq.%I', 'q_' || n.queue_name))
    where c.relpersistence = 'u'
    order by n.namespace
  );
  -- The tasks of all queues, in the one order of locks.
  perform 1
  from tasker.tasks t
  where t.listed_as in ('in_progress', 'cancelled') and t.active_steps > 0
    and t.template_id = any(array(
      select template_id from tasker.templates where namespace = any(v_emptied)
    ))
  order by t.task_uuid
  for no key update;
  foreach v_namespace in array v_emptied loop
    v_is_numbered := false;
    begin
      perform tasker.pass_used_numbers(v_namespace);
      v_is_numbered := true;
      v_all := v_all + tasker.refill_queue(v_namespace, p_lease_ms);
    exception when others then
      -- Class 42 is a queue that is missing, altered or not ours: nothing can be enqueued there.
      if not v_is_numbered and sqlstate not like '42%' then
        raise;
      end if;
      perform tasker.refill_later(v_namespace, sqlerrm);
    end;
  end loop;
  insert into tasker.queues_intact values (clock_timestamp());
  return v_all;
end
$$;


--
-- Name: register_process(uuid, text, text, text, integer, text, text, text[], text[], integer, integer, bigint); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.register_process(p_registration_uuid uuid, p_identity text, p_role text, p_host text, p_pid integer, p_version text, p_mode text, p_namespaces text[], p_handlers text[], p_places integer, p_taken integer, p_running_for_ms bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  perform set_config('synchronous_commit', 'off', true);
  delete from tasker.processes where registration_uuid = p_registration_uuid;
  insert into tasker.processes (
    registration_uuid, identity, role, host, pid, version, mode, namespaces, handlers, places,
    taken, started_at, last_seen_at
  ) values (
    p_registration_uuid, p_identity, p_role, p_host, p_pid, p_version, p_mode, p_namespaces,
    p_handlers, p_places, p_taken, clock_timestamp() - p_running_for_ms * interval '1 ms',
    clock_timestamp()
  );
  perform tasker.forget_processes();
end
$$;


--
-- Name: release_steps(text, uuid[], integer[], integer[], bigint[], text[]); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.release_steps(p_worker text, p_task_uuids uuid[], p_step_nos integer[], p_receipts integer[], p_msg_ids bigint[], p_namespaces text[]) RETURNS tasker.moved
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
declare
  v_now timestamptz;
  v_moved tasker.moved;
  v_announce text := tasker.suppress_notify();
  v_released record;
  v_group record;
begin
  v_moved.locked := tasker.locked_positions(p_task_uuids, p_step_nos);
  v_now := tasker.now();

  with release as (
    select *
    from unnest(p_task_uuids, p_step_nos, p_receipts, p_msg_ids) with ordinality
      as r(task_uuid, step_no, receipt, msg_id, position)
    where r.position <> all(v_moved.locked)
  ), judged as (
    select r.position::int, s.task_uuid, s.step_no, s.attempt, s.msg_id,
      case when t.state = 'cancelled' then 'cancelled' else 'enqueued' end::tasker.step_state as state
    from release r
    join tasker.steps s on s.task_uuid = r.task_uuid and s.step_no = r.step_no
      and s.receipt = r.receipt and s.msg_id = r.msg_id
      and s.state = 'in_progress' and s.worker = p_worker
    cross join lateral (
      select t.state from tasker.tasks t where t.task_uuid = r.task_uuid offset 0
    ) t
  ), moved as (
    update tasker.steps s
    set state = j.state, attempt = s.attempt - 1,
      msg_id = case when j.state = 'enqueued' then s.msg_id end,
      started_at = null, worker = null,
      finished_at = case when j.state <> 'enqueued' then v_now end
    from judged j
    where s.task_uuid = j.task_uuid and s.step_no = j.step_no
    returning j.position, s.task_uuid, s.step_no, j.attempt, s.state
  ), logged as (
    insert into tasker.step_transitions
      (task_uuid, at, step_no, attempt, from_state, to_state, actor, reason)
    select task_uuid, v_now, step_no, attempt, 'in_progress', state, p_worker, 'released unstarted'
    from moved
  )
  select coalesce(array_agg(position), '{}') as positions,
    coalesce(array_agg(position) filter (where state = 'enqueued'), '{}') as back,
    coalesce(array_agg(task_uuid) filter (where state <> 'enqueued'), '{}') as ended
  into v_released
  from moved;

  v_moved.ready_tasks := '{}';
  v_moved.cancelled_tasks := '{}';
  v_moved.timer_set := false;
  v_moved.stale := array(
    select position from generate_series(1, cardinality(p_task_uuids)) as position
    where position <> all(v_released.positions) and position <> all(v_moved.locked)
  );
  v_moved.finished_tasks := tasker.count_active(
    v_released.ended, array_fill(-1, array[cardinality(v_released.ended)]), null, p_worker, v_now
  );
  perform set_config('tasker.announce', v_announce, true);

  v_moved.woken_queues := '{}';
  for v_group in
    select n.queue_name as name, p.position = any(v_released.back) as back,
      array_agg(p_msg_ids[p.position] order by p_msg_ids[p.position]) as msg_ids,
      array_agg(
        tasker.step_message(t.task_uuid, ts.step_no, ts.handler, t.priority)
        order by p_msg_ids[p.position]
      ) as messages
    from unnest(v_released.positions) as p(position)
    join tasker.namespaces n on n.namespace = p_namespaces[p.position]
    cross join lateral (
      select * from tasker.tasks t where t.task_uuid = p_task_uuids[p.position] offset 0
    ) t
    cross join lateral (
      select * from tasker.template_steps ts
      where ts.template_id = t.template_id and ts.step_no = p_step_nos[p.position]
      offset 0
    ) ts
    group by 1, 2
    order by 1, 2
  loop
    if v_group.back then
      perform tasker.return_messages(v_group.name, v_group.msg_ids, v_group.messages);
      v_moved.woken_queues := v_moved.woken_queues || v_group.name;
    else
      perform tasker.delete_messages(v_group.name, v_group.msg_ids);
    end if;
  end loop;
  return v_moved;
end
$$;


--
-- Name: repair_queue(text); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.repair_queue(p_namespace text) RETURNS integer
    LANGUAGE plpgsql
    AS $$
begin
  perform tasker.create_queue(queue_name) from tasker.namespaces where namespace = p_namespace;
  perform tasker.pass_used_numbers(p_namespace);
  return tasker.refill_queue(p_namespace, 30000);
end
$$;


--
-- Name: resolve_task(uuid, text, text); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.resolve_task(p_task_uuid uuid, p_actor text, p_reason text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  v_task tasker.tasks := tasker.lock_task(p_task_uuid);
begin
  if v_task.state <> 'error' then
    raise exception using
      errcode = 'TK409',
      message = format('task %s is %s and cannot be resolved by hand', p_task_uuid, v_task.state),
      hint = 'only a task in error can be';
  end if;
  update tasker.tasks set state = 'resolved_manually', reason = p_reason
  where task_uuid = p_task_uuid;
  insert into tasker.task_transitions (task_uuid, at, from_state, to_state, actor, reason)
  values (p_task_uuid, tasker.now(), 'error', 'resolved_manually', p_actor, p_reason);
end
$$;


--
-- Name: retry_delay_ms(text, bigint, bigint, boolean, integer); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.retry_delay_ms(p_backoff text, p_base_ms bigint, p_max_ms bigint, p_jitter boolean, p_attempt integer) RETURNS bigint
    LANGUAGE sql
    AS $$
  select round(least(
    p_max_ms,
    p_base_ms * case p_backoff
      when 'fixed' then 1
      when 'linear' then p_attempt
      else 2.0 ^ least(p_attempt - 1, 40)
    end
  ) * case when p_jitter then 0.5 + random() / 2 else 1 end)::bigint
$$;


--
-- Name: retry_step(uuid, text, text, text); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.retry_step(p_task_uuid uuid, p_step_name text, p_actor text, p_reason text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  v_task tasker.tasks := tasker.lock_task(p_task_uuid);
  v_step tasker.steps := tasker.find_step(v_task, p_step_name);
  v_now timestamptz := tasker.now();
begin
  if v_task.state not in ('in_progress', 'error')
    or v_step.state not in ('error', 'waiting_for_retry') then
    raise exception using
      errcode = 'TK409',
      message = format(
        'step %s is %s in a task that is %s and cannot be retried',
        p_step_name, v_step.state, v_task.state
      ),
      hint = case
        when v_task.state in ('complete', 'cancelled', 'resolved_manually') then
          format('a task that is %s does not go on; submit it again', v_task.state)
        when v_step.state = 'in_progress' then
          'wait until its attempt has ended, or cancel the task'
        when v_step.state = 'enqueued' or v_step.state = 'pending' and v_step.waiting_on = 0 then
          'it runs as soon as a worker has a place for it'
        when v_step.state = 'pending' then
          'it runs once the steps it depends on have ended well; '
            'if one of those failed, retry that one'
        else 'it has ended well; submit the task again to run it again' end;
  end if;

  if v_step.state = 'waiting_for_retry' then
    delete from tasker.timers where task_uuid = p_task_uuid and step_no = v_step.step_no;
    if not found then
      return;  -- It is due already.
    end if;
  else
    update tasker.steps s
    set state = 'pending', finished_at = null,
      max_attempts = s.attempt + ts.max_attempts
    from tasker.template_steps ts
    where s.task_uuid = p_task_uuid and s.step_no = v_step.step_no
      and ts.template_id = s.template_id and ts.step_no = s.step_no;
    insert into tasker.step_transitions
      (task_uuid, at, step_no, attempt, from_state, to_state, actor, reason)
    values
      (p_task_uuid, v_now, v_step.step_no, v_step.attempt, 'error', 'pending', p_actor, p_reason);
    update tasker.tasks
    set state = 'in_progress', finished_at = null,
      active_steps = active_steps + 1, failed_steps = failed_steps - 1
    where task_uuid = p_task_uuid;
    if v_task.state = 'error' then
      insert into tasker.task_transitions (task_uuid, at, from_state, to_state, actor, reason)
      values (p_task_uuid, v_now, 'error', 'in_progress', p_actor, p_reason);
    end if;
  end if;

  perform set_config(
    'tasker.moved_step', tasker.step_uuid(p_task_uuid, v_step.step_no) || ' pending', true
  );
  insert into tasker.ready_steps (task_uuid, step_no, template_id, priority, ready_at, cause)
  values (p_task_uuid, v_step.step_no, v_step.template_id, v_task.priority, v_now, 'retry');
end
$$;


--
-- Name: return_messages(text, bigint[], jsonb[]); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.return_messages(p_queue_name text, p_msg_ids bigint[], p_messages jsonb[]) RETURNS text
    LANGUAGE plpgsql
    SET lock_timeout TO '1s'
    AS $_$
declare
  v_where_locked text;
  v_problem text;
begin
  foreach v_where_locked in array array['', 'skip locked'] loop
    begin
      execute format(
        'update pgmq.%1$I q set vt = $3, message = r.message
        from unnest($1, $2) as r(msg_id, message)
        where q.msg_id = r.msg_id and q.msg_id = any(array(
          select q.msg_id from pgmq.%1$I q where q.msg_id = any($1) for update %2$s
        ))', 'q_' || p_queue_name, v_where_locked
      )
      using p_msg_ids, p_messages, clock_timestamp();
      return null;
    exception when others then
      v_problem := sqlerrm;
    end;
  end loop;
  return v_problem;
end
$_$;


--
-- Name: rewrite_table(regclass); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.rewrite_table(p_table regclass) RETURNS boolean
    LANGUAGE plpgsql
    SET lock_timeout TO '50ms'
    AS $_$
declare
  v_announce text := tasker.suppress_notify();
  v_rows jsonb;
begin
  begin
    execute format('lock table %s in access exclusive mode', p_table);
    execute format('select jsonb_agg(to_jsonb(r)) from %s r', p_table) into v_rows;
    execute format('truncate %s', p_table);
    execute format(
      'insert into %1$s overriding system value
      select * from jsonb_populate_recordset(null::%1$s, $1)', p_table
    ) using v_rows;
    perform set_config('tasker.announce', v_announce, true);
    return true;
  exception when lock_not_available or insufficient_privilege then
    perform set_config('tasker.announce', v_announce, true);
    return false;
  end;
end
$_$;


--
-- Name: settle_step(uuid, text, tasker.step_state, jsonb, text, text); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.settle_step(p_task_uuid uuid, p_step_name text, p_state tasker.step_state, p_result jsonb, p_actor text, p_reason text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  v_task tasker.tasks := tasker.lock_task(p_task_uuid);
  v_step tasker.steps := tasker.find_step(v_task, p_step_name);
  v_now timestamptz := tasker.now();
  v_ready int;
  v_active int;
  v_failed int;
  v_end tasker.task_state;
begin
  if v_task.state not in ('pending', 'in_progress', 'error')
    or v_step.state not in ('pending', 'enqueued', 'waiting_for_retry', 'error') then
    raise exception using
      errcode = 'TK409',
      message = format(
        'step %s is %s in a task that is %s and cannot be settled by hand',
        p_step_name, v_step.state, v_task.state
      ),
      hint = case
        when v_task.state in ('complete', 'cancelled', 'resolved_manually') then
          format('a task that is %s does not go on; submit it again', v_task.state)
        when v_step.state = 'in_progress' then
          'wait until its attempt has ended, or cancel the task'
        else 'it has ended well, and keeps its result' end;
  end if;

  update tasker.steps
  set state = p_state, result = coalesce(p_result, 'null'),
    result_bytes = pg_column_size(coalesce(p_result, 'null')), error = null, msg_id = null,
    finished_at = v_now
  where task_uuid = p_task_uuid and step_no = v_step.step_no;
  insert into tasker.step_transitions
    (task_uuid, at, step_no, attempt, from_state, to_state, actor, reason)
  values (
    p_task_uuid, v_now, v_step.step_no, v_step.attempt, v_step.state, p_state, p_actor, p_reason
  );
  delete from tasker.timers where task_uuid = p_task_uuid and step_no = v_step.step_no;
  -- Rows that a claim holds at this moment are not waited for: it finds them void.
  delete from tasker.ready_steps where ctid = any(array(
    select ctid from tasker.ready_steps
    where task_uuid = p_task_uuid and step_no = v_step.step_no
    for update skip locked
  ));

  perform set_config(
    'tasker.moved_step', tasker.step_uuid(p_task_uuid, v_step.step_no) || ' ' || p_state, true
  );
  v_ready := cardinality((tasker.free_dependents(
    array[p_task_uuid], array[v_step.step_no], array[v_step.template_id], v_now,
    p_result_bytes => array[pg_column_size(coalesce(p_result, 'null'))]
  )).ready_tasks);
  v_active := v_task.active_steps + v_ready - case
    when v_step.state in ('enqueued', 'waiting_for_retry') then 1
    when v_step.state = 'pending' and v_step.waiting_on = 0 then 1
    else 0
  end;
  v_failed := v_task.failed_steps - (v_step.state = 'error')::int;
  v_end := case when v_active > 0 then null when v_failed > 0 then 'error' else 'complete' end;

  update tasker.tasks
  set state = coalesce(v_end, 'in_progress'), active_steps = v_active, failed_steps = v_failed,
    started_at = coalesce(started_at, v_now),
    finished_at = case when v_end is not null then v_now end
  where task_uuid = p_task_uuid;
  if v_task.state <> 'in_progress' and v_task.state is distinct from v_end then
    insert into tasker.task_transitions (task_uuid, at, from_state, to_state, actor, reason)
    values (p_task_uuid, v_now, v_task.state, 'in_progress', p_actor, p_reason);
  end if;
  if v_task.state is distinct from v_end and v_end is not null then
    insert into tasker.task_transitions (task_uuid, at, from_state, to_state, actor, reason)
    values (p_task_uuid, v_now, 'in_progress', v_end, p_actor, p_reason);
  end if;

  if v_step.msg_id is not null then
    perform tasker.delete_messages(n.queue_name, array[v_step.msg_id])
    from tasker.templates t join tasker.namespaces n on n.namespace = t.namespace
    where t.template_id = v_task.template_id;
  end if;
end
$$;


--
-- Name: step_may_move(tasker.step_state, tasker.step_state); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.step_may_move(p_from tasker.step_state, p_to tasker.step_state) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
begin
  return case p_from
    when 'pending' then
      p_to in ('enqueued', 'in_progress', 'cancelled', 'skipped', 'resolved_manually')
    when 'enqueued' then p_to in ('in_progress', 'cancelled', 'skipped', 'resolved_manually')
    when 'in_progress' then
      p_to in ('enqueued', 'complete', 'waiting_for_retry', 'error', 'cancelled')
    when 'waiting_for_retry' then p_to in ('enqueued', 'cancelled', 'skipped', 'resolved_manually')
    when 'error' then p_to in ('pending', 'skipped', 'resolved_manually')
    else false
  end;
end
$$;


--
-- Name: step_message(uuid, integer, text, integer); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.step_message(p_task_uuid uuid, p_step_no integer, p_handler text, p_priority integer) RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  select jsonb_build_object(
    'task_uuid', p_task_uuid, 'step_no', p_step_no, 'handler', p_handler, 'priority', p_priority
  )
$$;


--
-- Name: step_uuid(uuid, integer); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.step_uuid(p_task_uuid uuid, p_step_no integer) RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  select overlay(
    p_task_uuid::text placing lpad(to_hex(p_step_no), 4, '0') from 33
  )::uuid
$$;


--
-- Name: steps_without_worker(text[]); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.steps_without_worker(p_namespaces text[] DEFAULT NULL::text[]) RETURNS TABLE(namespace text, handler text, steps integer)
    LANGUAGE plpgsql
    SET lock_timeout TO '100ms'
    AS $$
#variable_conflict use_column
declare
  v_queue text;
begin
  for namespace, v_queue in
    select n.namespace, n.queue_name from tasker.namespaces n
    where p_namespaces is null or n.namespace = any(p_namespaces)
    order by n.namespace
  loop
    begin
      return query
      select namespace, m.handler, m.steps
      from tasker.missing_handlers(v_queue, tasker.known_handlers(namespace), 100) m;
    exception
      when lock_not_available then
        -- However many are locked, the call waits for one.
        perform set_config('lock_timeout', '1ms', true);
      when others then
        null;
    end;
  end loop;
end
$$;


--
-- Name: submit_task(text, text, jsonb, text, integer, text, text); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.submit_task(p_namespace text, p_name text, p_context jsonb DEFAULT '{}'::jsonb, p_version text DEFAULT NULL::text, p_priority integer DEFAULT 0, p_idempotency_key text DEFAULT NULL::text, p_on_conflict text DEFAULT NULL::text) RETURNS uuid
    LANGUAGE plpgsql
    AS $$
begin
  return (
    select task_uuid
    from tasker.submit_tasks(jsonb_build_array(jsonb_build_object(
      'namespace', p_namespace, 'name', p_name, 'version', p_version, 'context', p_context,
      'priority', p_priority, 'idempotency_key', p_idempotency_key,
      'on_conflict', p_on_conflict
    )))
  );
end
$$;


--
-- Name: submit_tasks(jsonb); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.submit_tasks(p_tasks jsonb) RETURNS TABLE("position" integer, task_uuid uuid, created boolean, context_differs boolean)
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
  v_now timestamptz := tasker.now();
  v_bad record;
  v_namespaces text[];
  v_names text[];
  v_versions text[];
  v_priorities int[];
  v_contexts jsonb[];
  v_keys text[];
  v_uuids uuid[];
  v_new boolean[];
  v_conflicts text[];
  v_differs boolean[];
  v_templates int[];
begin
  if jsonb_typeof(p_tasks) is distinct from 'array' then
    raise exception using errcode = 'TK400', message = 'the tasks are not a JSON array';
  end if;

  select t.position, t.problem into v_bad
  from (
    select ordinality as position, tasker.task_problem(task) as problem
    from jsonb_array_elements(p_tasks) with ordinality as e(task, ordinality)
  ) t
  where t.problem is not null
  order by t.position
  limit 1;
  if found then
    raise exception using
      errcode = 'TK400',
      message = case jsonb_array_length(p_tasks) when 1 then v_bad.problem
        else format('task %s: %s', v_bad.position - 1, v_bad.problem) end;
  end if;

  select
    array_agg(task ->> 'namespace'), array_agg(task ->> 'name'), array_agg(task ->> 'version'),
    array_agg(coalesce((task ->> 'priority')::numeric::int, 0)),
    array_agg(coalesce(nullif(task -> 'context', 'null'), '{}')),
    array_agg(task ->> 'idempotency_key'), array_agg(task ->> 'on_conflict'),
    array_agg(tasker.new_task_uuid()), array_agg(true)
  into v_namespaces, v_names, v_versions, v_priorities, v_contexts, v_keys, v_conflicts, v_uuids,
    v_new
  from jsonb_array_elements(p_tasks) as task;

  -- Templates are looked up once each, and every context is checked against its schema.
  with wanted as (
    select *
    from unnest(v_namespaces, v_names, v_versions)
      with ordinality as w(namespace, name, version, position)
  ), found_templates as materialized (
    select w.namespace, w.name, w.version,
      tasker.find_template(w.namespace, w.name, w.version) as template_id
    from wanted w
    group by w.namespace, w.name, w.version
  )
  select array_agg(f.template_id order by w.position) into v_templates
  from wanted w
  join found_templates f
    on f.namespace = w.namespace and f.name = w.name and f.version is not distinct from w.version;

  select c.position, tasker.json_schema_error(t.input_schema, c.context) as problem
  into v_bad
  from unnest(v_templates, v_contexts) with ordinality as c(template_id, context, position)
  join tasker.templates t on t.template_id = c.template_id
  where t.input_schema is not null
    and tasker.json_schema_error(t.input_schema, c.context) is not null
  order by c.position
  limit 1;
  if found then
    raise exception using
      errcode = 'TK400',
      message = case jsonb_array_length(p_tasks)
        when 1 then format('the context does not fit the input schema: %s', v_bad.problem)
        else format('task %s: the context does not fit the input schema: %s',
          v_bad.position - 1, v_bad.problem) end;
  end if;

  if array_remove(v_keys, null) <> '{}' then
    -- A key belongs to the task that inserts it first; in key order, so that two batches never
    -- deadlock.
    insert into tasker.idempotency_keys as k (namespace, name, idempotency_key, task_uuid)
    select t.namespace, t.name, t.idempotency_key, t.task_uuid
    from unnest(v_namespaces, v_names, v_keys, v_uuids) with ordinality
      as t(namespace, name, idempotency_key, task_uuid, position)
    where t.idempotency_key is not null
    order by t.namespace, t.name, t.idempotency_key, t.position
    on conflict do nothing;

    select
      array_agg(coalesce(k.task_uuid, t.task_uuid) order by t.position),
      array_agg(k.task_uuid is null or k.task_uuid = t.task_uuid order by t.position)
    into v_uuids, v_new
    from unnest(v_namespaces, v_names, v_keys, v_uuids) with ordinality
      as t(namespace, name, idempotency_key, task_uuid, position)
    left join tasker.idempotency_keys k
      on k.namespace = t.namespace and k.name = t.name and k.idempotency_key = t.idempotency_key;
  end if;

  insert into tasker.tasks
    (task_uuid, created_at, template_id, priority, active_steps, context, idempotency_key)
  select n.task_uuid, v_now, n.template_id, n.priority,
    (select count(*) from tasker.template_steps s
      where s.template_id = n.template_id and s.depends_on = '{}'),
    n.context, n.idempotency_key
  from unnest(v_uuids, v_new, v_templates, v_priorities, v_contexts, v_keys)
    as n(task_uuid, is_new, template_id, priority, context, idempotency_key)
  where n.is_new;

  if false = any(v_new) then
    select array_agg(coalesce(t.context <> n.context, false) order by n.position) into v_differs
    from unnest(v_uuids, v_new, v_contexts) with ordinality
      as n(task_uuid, is_new, context, position)
    left join lateral (
      select k.context from tasker.tasks k
      where k.task_uuid = n.task_uuid and not n.is_new
      offset 0
    ) t on true;

    select c.position, v_keys[c.position] as idempotency_key, v_uuids[c.position] as task_uuid
    into v_bad
    from unnest(v_differs, v_conflicts) with ordinality as c(differs, on_conflict, position)
    where c.differs and c.on_conflict = 'reject'
    order by c.position
    limit 1;
    if found then
      raise exception using
        errcode = 'TK409',
        message = case jsonb_array_length(p_tasks) when 1 then ''
            else format('task %s: ', v_bad.position - 1) end
          || format('the idempotency key "%s" was used with another context, for task %s',
            v_bad.idempotency_key, v_bad.task_uuid),
        hint = 'use another key, or leave out on_conflict to be given that task';
    end if;
  end if;

  insert into tasker.steps
    (task_uuid, step_no, template_id, waiting_on, max_attempts, input_bytes)
  select n.task_uuid, s.step_no, s.template_id, cardinality(s.depends_on), s.max_attempts,
    pg_column_size(n.context)
  from unnest(v_uuids, v_new, v_templates, v_contexts)
    as n(task_uuid, is_new, template_id, context)
  join tasker.template_steps s on s.template_id = n.template_id
  where n.is_new;

  insert into tasker.ready_steps (task_uuid, step_no, template_id, priority, ready_at, cause)
  select n.task_uuid, s.step_no, s.template_id, n.priority, v_now, 'task_start'
  from unnest(v_uuids, v_new, v_templates, v_priorities) with ordinality
    as n(task_uuid, is_new, template_id, priority, position)
  cross join lateral (
    select * from tasker.template_steps s
    where s.template_id = n.template_id and s.depends_on = '{}'
    offset 0
  ) s
  where n.is_new
  order by n.position, s.step_no;

  if current_setting('tasker.announce', true) is not distinct from 'off' then
    null;
  elsif v_new = '{t}' then
    perform tasker.announce_task_state(p_tasks #>> '{0,namespace}', 'pending', v_uuids);
  else
    perform tasker.announce_task_states(array_agg(u.task_uuid), 'pending')
    from unnest(v_uuids, v_new) as u(task_uuid, is_new)
    where u.is_new
    having count(*) > 0;
  end if;

  return query
  select u.position::int, u.task_uuid, u.is_new, coalesce(u.differs, false)
  from unnest(v_uuids, v_new, v_differs) with ordinality
    as u(task_uuid, is_new, differs, position);
end
$$;


--
-- Name: submit_tasks_silently(jsonb, integer); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.submit_tasks_silently(p_tasks jsonb, p_lock_timeout_ms integer DEFAULT NULL::integer) RETURNS TABLE(task_uuid uuid, created boolean, context_differs boolean)
    LANGUAGE plpgsql
    AS $$
declare
  v_announce text := tasker.suppress_notify();
  v_lock_timeout text := current_setting('lock_timeout');
begin
  if p_lock_timeout_ms is not null then
    perform set_config('lock_timeout', p_lock_timeout_ms::text, true);
  end if;
  return query
  select s.task_uuid, s.created, s.context_differs
  from tasker.submit_tasks(p_tasks) s
  order by s.position;
  perform set_config('lock_timeout', v_lock_timeout, true);
  perform set_config('tasker.announce', v_announce, true);
end
$$;


--
-- Name: summarize_transitions(); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.summarize_transitions() RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  v_index regclass;
begin
  perform set_config('lock_timeout', '100ms', true);
  for v_index in
    select i.indexrelid
    from pg_index i
    join pg_class c on c.oid = i.indexrelid
    join pg_am a on a.oid = c.relam
    where a.amname = 'brin'
      and i.indrelid in ('tasker.task_transitions'::regclass, 'tasker.step_transitions'::regclass)
  loop
    perform brin_summarize_new_values(v_index);
  end loop;
exception
  when insufficient_privilege or lock_not_available then
    null;
end
$$;


--
-- Name: suppress_notify(); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.suppress_notify() RETURNS text
    LANGUAGE plpgsql
    AS $$
declare
  v_before text := coalesce(current_setting('tasker.announce', true), '');
begin
  perform set_config('tasker.announce', 'off', true);
  return v_before;
end
$$;


--
-- Name: table_bytes(regclass); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.table_bytes(p_table regclass) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
begin
  return pg_relation_size(p_table);
exception when lock_not_available then
  perform set_config('lock_timeout', '1ms', true);
  return null;
end
$$;


--
-- Name: task_history(uuid); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.task_history(p_task_uuid uuid) RETURNS TABLE(at timestamp with time zone, step_name text, attempt integer, from_state text, to_state text, actor text, reason text)
    LANGUAGE plpgsql STABLE
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
begin
  return query
  select m.at, m.step_name, m.attempt, m.from_state, m.to_state, m.actor, m.reason
  from (
    select t.at, null as step_name, null::int as attempt, t.from_state::text, t.to_state::text,
      t.actor, t.reason, 0 as kind, t.transition_no
    from tasker.task_transitions t
    where t.task_uuid = p_task_uuid
    union all
    select s.at, ts.name, s.attempt, s.from_state::text, s.to_state::text,
      s.actor, coalesce(s.reason, s.error ->> 'message'), 1, s.transition_no
    from tasker.step_transitions s
    join tasker.tasks k on k.task_uuid = s.task_uuid
    join tasker.template_steps ts on ts.template_id = k.template_id and ts.step_no = s.step_no
    where s.task_uuid = p_task_uuid
  ) m
  order by m.at,
    -- At one moment a task starts before its steps and ends after them.
    case when m.kind = 0 and m.to_state <> 'in_progress' then 2 else m.kind end, m.transition_no;
end
$$;


--
-- Name: task_may_move(tasker.task_state, tasker.task_state); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.task_may_move(p_from tasker.task_state, p_to tasker.task_state) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
begin
  return case p_from
    when 'pending' then p_to in ('in_progress', 'cancelled')
    when 'in_progress' then p_to in ('complete', 'error', 'cancelled')
    when 'error' then p_to in ('in_progress', 'cancelled', 'resolved_manually')
    else false
  end;
end
$$;


--
-- Name: task_problem(jsonb); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.task_problem(p_task jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
declare
  v_unknown jsonb;
begin
  if jsonb_typeof(p_task) <> 'object' then
    return 'it is not a JSON object';
  end if;
  v_unknown := p_task - '{namespace,name,version,context,priority,idempotency_key,on_conflict}'::text[];
  if v_unknown <> '{}' then
    return format('unknown key %s', (
      select string_agg(quote_ident(key), ', ') from jsonb_object_keys(v_unknown) key
    ));
  end if;
  return case
    when jsonb_typeof(p_task -> 'namespace') is distinct from 'string' then
      'namespace is missing or not a string'
    when jsonb_typeof(p_task -> 'name') is distinct from 'string' then
      'name is missing or not a string'
    when jsonb_typeof(p_task -> 'version') not in ('string', 'null') then 'version is not a string'
    when jsonb_typeof(p_task -> 'context') not in ('object', 'null') then
      'context is not a JSON object'
    when jsonb_typeof(p_task -> 'priority') not in ('number', 'null') then
      'priority is not a number'
    when (p_task ->> 'priority')::numeric not between -32768 and 32767
      or (p_task ->> 'priority')::numeric % 1 <> 0 then
      'priority is not a whole number from -32768 to 32767'
    when jsonb_typeof(p_task -> 'idempotency_key') not in ('string', 'null') then
      'idempotency_key is not a string'
    when char_length(p_task ->> 'idempotency_key') not between 1 and 255 then
      'idempotency_key has not 1 to 255 characters'
    when coalesce(nullif(p_task -> 'on_conflict', 'null'), '"existing"')
      not in ('"existing"', '"reject"') then
      'on_conflict is neither "existing" nor "reject"'
  end;
end
$$;


--
-- Name: tasks_without_worker(uuid[]); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.tasks_without_worker(p_task_uuids uuid[]) RETURNS uuid[]
    LANGUAGE plpgsql STABLE
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
declare
  v_group record;
  v_known text[];
  v_steps int[];
  v_waiting uuid[] := '{}';
begin
  for v_group in
    select tp.namespace, tp.template_id, array_agg(w.task_uuid) as tasks
    from unnest(p_task_uuids) as w(task_uuid)
    cross join lateral (
      select t.template_id from tasker.tasks t
      where t.task_uuid = w.task_uuid and t.state = 'in_progress'
      offset 0
    ) t
    join tasker.templates tp on tp.template_id = t.template_id
    group by tp.namespace, tp.template_id
  loop
    v_known := tasker.known_handlers(v_group.namespace);
    v_steps := array(
      select ts.step_no from tasker.template_steps ts
      where ts.template_id = v_group.template_id and ts.handler <> all(v_known)
      order by ts.step_no
      limit 200
    );
    continue when v_steps = '{}';
    v_waiting := v_waiting || array(
      select w.task_uuid from unnest(v_group.tasks) as w(task_uuid)
      where exists (
        select from tasker.steps s
        where s.task_uuid = w.task_uuid and s.step_no = any(v_steps) and s.state = 'enqueued'
      )
    );
  end loop;
  return v_waiting;
end
$$;


--
-- Name: tend_queue(text); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.tend_queue(p_namespace text) RETURNS integer
    LANGUAGE plpgsql
    SET lock_timeout TO '10ms'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $_$
declare
  v_queue text := (select queue_name from tasker.namespaces where namespace = p_namespace);
  v_is_strange boolean;
  v_archived int := 0;
begin
  perform set_config('synchronous_commit', 'off', true);
  -- Less than tasker.is_step_message() looks at, at a fifth of the cost.
  execute format(
    'select exists (
      select from pgmq.%I q
      where jsonb_typeof(q.message -> ''handler'') is distinct from ''string''
        or length(q.message ->> ''task_uuid'') is distinct from 36
    )', 'q_' || v_queue
  ) into v_is_strange;
  if v_is_strange then
    v_archived := tasker.archive_strange_messages(v_queue);
  end if;
  -- The case keeps foreign messages, which may be locked, from being read as ours.
  execute format(
    'update pgmq.%1$I q
    set message = tasker.step_message(e.task_uuid, e.step_no, e.handler, e.priority)
    from (
      select e.msg_id, s.task_uuid, s.step_no, ts.handler, t.priority
      from pgmq.%1$I e
      cross join lateral (
        select s.task_uuid, s.step_no, s.template_id from tasker.steps s
        where s.task_uuid = case when tasker.is_step_message(e.message)
            then (e.message ->> ''task_uuid'')::uuid end
          and s.msg_id = e.msg_id and s.step_no::text <> e.message ->> ''step_no''
        offset 0
      ) s
      join tasker.tasks t on t.task_uuid = s.task_uuid
      join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
      where e.vt <= clock_timestamp() and e.read_ct > 0
      limit 1000
      for update of e skip locked
    ) e
    where q.msg_id = e.msg_id', 'q_' || v_queue
  );
  return v_archived;
exception when others then
  return 0;
end
$_$;


--
-- Name: timeout_grace_ms(); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.timeout_grace_ms() RETURNS integer
    LANGUAGE sql IMMUTABLE
    AS $$ select 1000 $$;


--
-- Name: transition_marks(boolean); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.transition_marks(p_mark boolean) RETURNS TABLE(last_task_no bigint, last_step_no bigint, oldest_xid bigint, mark bigint, read_at timestamp with time zone, server_started_at timestamp with time zone)
    LANGUAGE sql
    AS $$
  select coalesce(pg_sequence_last_value('tasker.task_transitions_transition_no_seq'), 0),
    coalesce(pg_sequence_last_value('tasker.step_transitions_transition_no_seq'), 0),
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
    case when p_mark then pg_current_xact_id()::text::bigint end,
    clock_timestamp(),
    greatest(pg_postmaster_start_time(), (select max(q.since) from tasker.queues_intact q))
$$;


--
-- Name: use_unlogged_queues(boolean); Type: FUNCTION; Schema: tasker; Owner: -
--

CREATE FUNCTION tasker.use_unlogged_queues(p_unlogged boolean) RETURNS integer
    LANGUAGE plpgsql
    AS $$
declare
  v_queue text;
  v_changed int := 0;
begin
  perform tasker.refill_queues();
  update tasker.queue_settings set unlogged = p_unlogged where unlogged <> p_unlogged;
  for v_queue in
    select 'q_' || n.queue_name
    from tasker.namespaces n
    join pg_class c on c.oid = to_regclass(format('pgmq.%I', 'q_' || n.queue_name))
    where (c.relpersistence = 'u') <> p_unlogged
    order by 1
  loop
    execute format(
      'alter table pgmq.%I set %s', v_queue, case when p_unlogged then 'unlogged' else 'logged' end
    );
    v_changed := v_changed + 1;
  end loop;
  return v_changed;
end
$$;


--
-- Name: __pgmq_migrations; Type: TABLE; Schema: pgmq; Owner: -
--

CREATE TABLE pgmq.__pgmq_migrations (
    name text NOT NULL,
    version text NOT NULL,
    run_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);


--
-- Name: a_worker_test_queue; Type: TABLE; Schema: pgmq; Owner: -
--

CREATE TABLE pgmq.a_worker_test_queue (
    msg_id bigint NOT NULL,
    read_ct integer DEFAULT 0 NOT NULL,
    enqueued_at timestamp with time zone DEFAULT now() NOT NULL,
    last_read_at timestamp with time zone,
    archived_at timestamp with time zone DEFAULT now() NOT NULL,
    vt timestamp with time zone NOT NULL,
    message jsonb,
    headers jsonb
);


--
-- Name: meta; Type: TABLE; Schema: pgmq; Owner: -
--

CREATE TABLE pgmq.meta (
    queue_name character varying NOT NULL,
    is_partitioned boolean NOT NULL,
    is_unlogged boolean NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);


--
-- Name: notify_insert_throttle; Type: TABLE; Schema: pgmq; Owner: -
--

CREATE UNLOGGED TABLE pgmq.notify_insert_throttle (
    queue_name character varying NOT NULL,
    throttle_interval_ms integer DEFAULT 0 NOT NULL,
    last_notified_at timestamp with time zone DEFAULT to_timestamp((0)::double precision) NOT NULL
);


--
-- Name: q_worker_test_queue; Type: TABLE; Schema: pgmq; Owner: -
--

CREATE TABLE pgmq.q_worker_test_queue (
    msg_id bigint NOT NULL,
    read_ct integer DEFAULT 0 NOT NULL,
    enqueued_at timestamp with time zone DEFAULT now() NOT NULL,
    last_read_at timestamp with time zone,
    vt timestamp with time zone NOT NULL,
    message jsonb,
    headers jsonb
)
WITH (fillfactor='50');


--
-- Name: q_worker_test_queue_msg_id_seq; Type: SEQUENCE; Schema: pgmq; Owner: -
--

ALTER TABLE pgmq.q_worker_test_queue ALTER COLUMN msg_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME pgmq.q_worker_test_queue_msg_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: topic_bindings; Type: TABLE; Schema: pgmq; Owner: -
--

CREATE TABLE pgmq.topic_bindings (
    pattern text NOT NULL,
    queue_name text NOT NULL,
    bound_at timestamp with time zone DEFAULT now() NOT NULL,
    compiled_regex text GENERATED ALWAYS AS ((('^'::text || replace(replace(regexp_replace(pattern, '([.+?{}()|\[\]\\^$])'::text, '\\\1'::text, 'g'::text), '*'::text, '[^.]+'::text), '#'::text, '.*'::text)) || '$'::text)) STORED
);


--
-- Name: applied_files; Type: TABLE; Schema: tasker; Owner: -
--

CREATE TABLE tasker.applied_files (
    file text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);


--
-- Name: idempotency_keys; Type: TABLE; Schema: tasker; Owner: -
--

CREATE TABLE tasker.idempotency_keys (
    namespace text NOT NULL,
    name text NOT NULL,
    idempotency_key text NOT NULL,
    task_uuid uuid NOT NULL
);


--
-- Name: namespaces; Type: TABLE; Schema: tasker; Owner: -
--

CREATE TABLE tasker.namespaces (
    namespace text NOT NULL,
    queue_name text GENERATED ALWAYS AS ((('worker_'::text || namespace) || '_queue'::text)) STORED NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT a_namespace_makes_a_valid_queue_name CHECK ((namespace ~ '^[a-z][a-z0-9_]{0,28}$'::text))
);


--
-- Name: priorities_in_use; Type: TABLE; Schema: tasker; Owner: -
--

CREATE TABLE tasker.priorities_in_use (
    priority integer NOT NULL
);


--
-- Name: processes; Type: TABLE; Schema: tasker; Owner: -
--

CREATE TABLE tasker.processes (
    registration_uuid uuid NOT NULL,
    started_at timestamp with time zone NOT NULL,
    last_seen_at timestamp with time zone NOT NULL,
    pid integer NOT NULL,
    places integer,
    taken integer,
    identity text NOT NULL,
    role text NOT NULL,
    host text NOT NULL,
    version text NOT NULL,
    mode text NOT NULL,
    namespaces text[] NOT NULL,
    handlers text[] NOT NULL,
    CONSTRAINT a_role_is_known CHECK ((role = ANY (ARRAY['orchestrator'::text, 'worker'::text]))),
    CONSTRAINT workers_alone_have_places CHECK ((((places IS NOT NULL) = (role = 'worker'::text)) AND ((taken IS NOT NULL) = (role = 'worker'::text))))
)
WITH (fillfactor='50');


--
-- Name: queue_settings; Type: TABLE; Schema: tasker; Owner: -
--

CREATE TABLE tasker.queue_settings (
    unlogged boolean DEFAULT false NOT NULL,
    only_one boolean DEFAULT true NOT NULL,
    CONSTRAINT there_is_one_row CHECK (only_one)
);


--
-- Name: queues_intact; Type: TABLE; Schema: tasker; Owner: -
--

CREATE UNLOGGED TABLE tasker.queues_intact (
    since timestamp with time zone NOT NULL
);


--
-- Name: queues_to_refill; Type: TABLE; Schema: tasker; Owner: -
--

CREATE UNLOGGED TABLE tasker.queues_to_refill (
    namespace text NOT NULL,
    retry_at timestamp with time zone NOT NULL
);


--
-- Name: ready_steps; Type: TABLE; Schema: tasker; Owner: -
--

CREATE TABLE tasker.ready_steps (
    ready_no bigint NOT NULL,
    task_uuid uuid NOT NULL,
    ready_at timestamp with time zone NOT NULL,
    step_no integer NOT NULL,
    template_id integer NOT NULL,
    priority integer NOT NULL,
    cause tasker.ready_cause DEFAULT 'step_transition'::tasker.ready_cause NOT NULL
);


--
-- Name: ready_steps_ready_no_seq; Type: SEQUENCE; Schema: tasker; Owner: -
--

ALTER TABLE tasker.ready_steps ALTER COLUMN ready_no ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME tasker.ready_steps_ready_no_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: schema_version; Type: TABLE; Schema: tasker; Owner: -
--

CREATE TABLE tasker.schema_version (
    version text NOT NULL,
    oldest_build text NOT NULL,
    only_one boolean DEFAULT true NOT NULL,
    CONSTRAINT there_is_one_row CHECK (only_one)
);


--
-- Name: step_transitions; Type: TABLE; Schema: tasker; Owner: -
--

CREATE TABLE tasker.step_transitions (
    transition_no bigint NOT NULL,
    task_uuid uuid NOT NULL,
    at timestamp with time zone NOT NULL,
    step_no integer NOT NULL,
    attempt integer NOT NULL,
    from_state tasker.step_state NOT NULL,
    to_state tasker.step_state NOT NULL,
    actor text,
    reason text,
    error jsonb,
    CONSTRAINT a_step_moves_legally CHECK (tasker.step_may_move(from_state, to_state))
);


--
-- Name: step_transitions_transition_no_seq; Type: SEQUENCE; Schema: tasker; Owner: -
--

ALTER TABLE tasker.step_transitions ALTER COLUMN transition_no ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME tasker.step_transitions_transition_no_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: task_transitions; Type: TABLE; Schema: tasker; Owner: -
--

CREATE TABLE tasker.task_transitions (
    transition_no bigint NOT NULL,
    task_uuid uuid NOT NULL,
    at timestamp with time zone NOT NULL,
    from_state tasker.task_state NOT NULL,
    to_state tasker.task_state NOT NULL,
    actor text,
    reason text,
    CONSTRAINT a_task_moves_legally CHECK (tasker.task_may_move(from_state, to_state))
);


--
-- Name: task_transitions_transition_no_seq; Type: SEQUENCE; Schema: tasker; Owner: -
--

ALTER TABLE tasker.task_transitions ALTER COLUMN transition_no ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME tasker.task_transitions_transition_no_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: tasker_ready_tasks; Type: VIEW; Schema: tasker; Owner: -
--

CREATE VIEW tasker.tasker_ready_tasks AS
 SELECT r.task_uuid,
    r.namespace,
    r.priority,
    r.ready_steps,
    r.ready_since
   FROM tasker.find_ready_tasks((0)::bigint, NULL::integer) r(task_uuid, namespace, priority, ready_steps, ready_since, ready_for_ms);


--
-- Name: template_steps; Type: TABLE; Schema: tasker; Owner: -
--

CREATE TABLE tasker.template_steps (
    template_id integer NOT NULL,
    step_no integer NOT NULL,
    name text NOT NULL,
    handler text NOT NULL,
    input jsonb NOT NULL,
    depends_on integer[] NOT NULL,
    dependents integer[] NOT NULL,
    max_attempts integer NOT NULL,
    backoff text NOT NULL,
    base_ms bigint NOT NULL,
    max_ms bigint NOT NULL,
    jitter boolean NOT NULL,
    timeout_ms integer NOT NULL,
    dependency_results text NOT NULL,
    CONSTRAINT a_backoff_is_known CHECK ((backoff = ANY (ARRAY['fixed'::text, 'linear'::text, 'exponential'::text]))),
    CONSTRAINT a_step_is_attempted_at_least_once CHECK ((max_attempts >= 1)),
    CONSTRAINT a_step_number_fits_in_16_bits CHECK (((step_no >= 1) AND (step_no <= 65535))),
    CONSTRAINT a_timeout_is_positive CHECK ((timeout_ms > 0)),
    CONSTRAINT delays_are_not_negative CHECK (((base_ms >= 0) AND (max_ms >= base_ms))),
    CONSTRAINT results_are_given_or_asked_for CHECK ((dependency_results = ANY (ARRAY['inline'::text, 'on_request'::text])))
);


--
-- Name: templates; Type: TABLE; Schema: tasker; Owner: -
--

CREATE TABLE tasker.templates (
    template_id integer NOT NULL,
    namespace text NOT NULL,
    name text NOT NULL,
    version text NOT NULL,
    version_order integer[] GENERATED ALWAYS AS ((string_to_array(version, '.'::text))::integer[]) STORED NOT NULL,
    description text,
    input_schema jsonb,
    body jsonb NOT NULL,
    step_count integer NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT a_template_has_steps CHECK (((step_count >= 1) AND (step_count <= 65535))),
    CONSTRAINT a_version_is_three_numbers CHECK ((version ~ '^\d{1,6}\.\d{1,6}\.\d{1,6}$'::text))
);


--
-- Name: templates_template_id_seq; Type: SEQUENCE; Schema: tasker; Owner: -
--

ALTER TABLE tasker.templates ALTER COLUMN template_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME tasker.templates_template_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: timers; Type: TABLE; Schema: tasker; Owner: -
--

CREATE TABLE tasker.timers (
    task_uuid uuid NOT NULL,
    step_no integer NOT NULL,
    due_at timestamp with time zone NOT NULL
);


--
-- Data for Name: __pgmq_migrations; Type: TABLE DATA; Schema: pgmq; Owner: -
--

COPY pgmq.__pgmq_migrations (name, version, run_at) FROM stdin;
pgmq.sql	1.13.0	2026-11-22 06:04:55.707887+00
\.


--
-- Data for Name: a_worker_test_queue; Type: TABLE DATA; Schema: pgmq; Owner: -
--

COPY pgmq.a_worker_test_queue (msg_id, read_ct, enqueued_at, last_read_at, archived_at, vt, message, headers) FROM stdin;
\.


--
-- Data for Name: meta; Type: TABLE DATA; Schema: pgmq; Owner: -
--

COPY pgmq.meta (queue_name, is_partitioned, is_unlogged, created_at) FROM stdin;
worker_test_queue	f	f	2026-11-22 06:04:55.949081+00
\.


--
-- Data for Name: notify_insert_throttle; Type: TABLE DATA; Schema: pgmq; Owner: -
--

COPY pgmq.notify_insert_throttle (queue_name, throttle_interval_ms, last_notified_at) FROM stdin;
\.


--
-- Data for Name: q_worker_test_queue; Type: TABLE DATA; Schema: pgmq; Owner: -
--

COPY pgmq.q_worker_test_queue (msg_id, read_ct, enqueued_at, last_read_at, vt, message, headers) FROM stdin;
13	1	2026-11-22 06:04:56.044522+00	\N	2026-11-22 06:05:26.045972+00	{"handler": "builtin.noop", "step_no": 3, "priority": 0, "task_uuid": "01a201db-8f67-72e2-bfbf-d909aa580000"}	\N
14	1	2026-11-22 06:04:56.048918+00	\N	2026-11-22 06:05:26.05053+00	{"handler": "builtin.noop", "step_no": 1, "priority": 0, "task_uuid": "01a201db-8f70-78c7-a5f3-8a9ece820000"}	\N
15	1	2026-11-22 06:04:56.052054+00	\N	2026-11-22 06:05:26.053594+00	{"handler": "builtin.noop", "step_no": 1, "priority": 0, "task_uuid": "01a201db-8f73-71b9-926f-7cb5c7b40000"}	\N
16	1	2026-11-22 06:04:56.057662+00	\N	2026-11-22 06:05:26.05938+00	{"handler": "builtin.noop", "step_no": 1, "priority": 0, "task_uuid": "01a201db-8f78-7a36-9438-53e9f9a00000"}	\N
17	0	2026-11-22 06:04:56.063267+00	\N	2026-11-22 06:04:56.063766+00	{"handler": "builtin.noop", "step_no": 1, "priority": 1, "task_uuid": "01a201db-8f7e-7cb8-9bf9-a72459430000"}	\N
\.


--
-- Data for Name: topic_bindings; Type: TABLE DATA; Schema: pgmq; Owner: -
--

COPY pgmq.topic_bindings (pattern, queue_name, bound_at) FROM stdin;
\.


--
-- Data for Name: applied_files; Type: TABLE DATA; Schema: tasker; Owner: -
--

COPY tasker.applied_files (file, checksum, applied_at) FROM stdin;
migrations/0000_applied_files.sql	02e36eca4d9c3b3b0c283747fe68608f6dccc2201e1bf2060a4efcf836e60711	2026-11-22 06:04:55.72808+00
migrations/0001_types.sql	72f3e677b4bccdfec5666c52814d4a01c3d1c09fc004501d40b96548cdbab3a8	2026-11-22 06:04:55.728996+00
migrations/0002_templates.sql	3a164e4ef1f2899befaaf8da3f400d2e1c87f1fae71c3a7e700f458544856b83	2026-11-22 06:04:55.735649+00
migrations/0003_tasks.sql	b47c7f59c30f80ace91437bf475fdb3631ffe4e1126efb959367014c208ab46c	2026-11-22 06:04:55.739235+00
migrations/0004_steps.sql	d682114777fb86947c01df1d12fd3b05f0d0741e87ca86ea3b2cf0b4f2d0edce	2026-11-22 06:04:55.74347+00
migrations/0005_transitions.sql	c2f288eca5ee33dd3549dee004bcaa98985995d139a622ee3f5b1b91f2b07422	2026-11-22 06:04:55.747053+00
migrations/0006_processes.sql	0c8794750980b15f5a57a990b5cdabe44a0c87f0d163f681a056b84927cccb42	2026-11-22 06:04:55.748848+00
migrations/0007_queue_durability.sql	83f8c7b3e0f00723bc4db78372b70112721216344b69eec6b7f22959642a8c4e	2026-11-22 06:04:55.752474+00
migrations/0008_composite_types.sql	9ec77c0d7166d161e919a30d9ffc17819fbd4689be3480fbb143f0fa6e93f39a	2026-11-22 06:04:55.753552+00
functions/announcements/announce.sql	4bc0cfb9ea0bae8216e853c93dff4cc8f5341d3c0e2dfe7bdfb2ea2f5138ed8c	2026-11-22 06:04:55.754655+00
functions/announcements/announce_ready_tasks.sql	e2bd267e5883a6d08a23a756457a13fb474173b424879c8e80012a8c60f21b6a	2026-11-22 06:04:55.755232+00
functions/announcements/announce_submitted_tasks.sql	d27945b3daff136a0021542bce449337f9aa2a84b040b844e4ec58aeac7c1c64	2026-11-22 06:04:55.755365+00
functions/announcements/announce_task_state.sql	af16bf3e0c9b1c42a472ce6578d6ef5e278a9eb280418abc08a486e6d9bbba63	2026-11-22 06:04:55.755481+00
functions/announcements/announce_task_states.sql	f1d79a0961b9b2d6df4e3c39053999555f7cdcc79cf8aac601619315f17455f0	2026-11-22 06:04:55.755615+00
functions/announcements/channel.sql	0798c449053a16f76077fa756b6385824571ac94f8b0d989f73930ca46d5d8a9	2026-11-22 06:04:55.755737+00
functions/announcements/notify_namespace_created.sql	b80b4ad181a1b31a4a8d0a5ee971939da658b7e421b0a1e3b5ed8b3671f21a28	2026-11-22 06:04:55.755929+00
functions/announcements/notify_namespace_removed.sql	1eaf903c64555f2148b56e6c3bd70709c7001853664108f023427f84a9236524	2026-11-22 06:04:55.756069+00
functions/announcements/notify_task_ready_on_step_transition.sql	7e02f690736d00fa7593587b390a0b47c0c591acdb3cd11833caf9f321254a8a	2026-11-22 06:04:55.756298+00
functions/announcements/notify_task_state_change.sql	5e05bdfcc6a1aa5bb28e87207c6b59a7c12e7cf3237d7246693d0cba75a7e68c	2026-11-22 06:04:55.756478+00
functions/announcements/readiness_payload.sql	326d3475fb20aa8a81856ce049a4b23e9ee91fd2a1f4b4348d099ae198dde7c5	2026-11-22 06:04:55.756594+00
functions/announcements/suppress_notify.sql	9ded2b63363863a69192fd5e5de659053aded3a9b5e16a026d8181327e75353d	2026-11-22 06:04:55.756777+00
functions/doctor/blocking_sessions.sql	3dfecfaf1c5a1197c01e37fa10016343ae89fd96915567cbcb2a1cf0f0a69b9b	2026-11-22 06:04:55.756911+00
functions/doctor/damaged_queues.sql	e70e7d3ff985b4a69d4fceb11f414242906d642b8870113be8591231ac00a32c	2026-11-22 06:04:55.757009+00
functions/doctor/doctor.sql	2ad2f68b0b3c7aaac4524287863806549d77723b78fbc61f82b8330bdd36e087	2026-11-22 06:04:55.757101+00
functions/doctor/findings.sql	a8188bda0183495bece191d616598e3fba154642cdbf586c30143a686eb16f16	2026-11-22 06:04:55.757493+00
functions/doctor/queues_without_messages.sql	446a5bb95365f7f30ce3a84731ae1deb821e9b50b1d4fd82cc7112ee3420938b	2026-11-22 06:04:55.757621+00
functions/engine/claim_ready_tasks.sql	d9580fe36cc9176847792938b3b3467ae3af45052f6f69eee97b49091b0d6ee5	2026-11-22 06:04:55.758034+00
functions/engine/claim_task_for_finalization.sql	176529c9215a129bac9825a67297f6c39161a05ee4a0f6e65ed6b7e948c42c32	2026-11-22 06:04:55.758219+00
functions/engine/complete_steps.sql	cbddd676d0e1dac482441ea0805ed39e1843b86b5401065d61013d07fbb66fbb	2026-11-22 06:04:55.758669+00
functions/engine/count_active.sql	e0b0577011416acb4b4de415086ec1506c4c1abad125582bd1fbcb92d8897c55	2026-11-22 06:04:55.758854+00
functions/engine/dependency_result.sql	6aeb1de612b56b0f2c8f0010c6a18a5bbf46962086d221621aefba534eead6c1	2026-11-22 06:04:55.759024+00
functions/engine/describe_steps.sql	d36d34f1f64d65374ea56a4e54830ee8964ac0dfcf8ba7d33485627444e0464d	2026-11-22 06:04:55.759241+00
functions/engine/enqueue_steps.sql	b6fed543e687e9ad6ff3107fbc313ebf631df87d2518f49aa88b6d4db418318a	2026-11-22 06:04:55.759378+00
functions/engine/extend_leases.sql	02fd8015d36fa467857c4cd0f83adcc1c43fac62d1e6cfbf1d169ad215fdb8d8	2026-11-22 06:04:55.759533+00
functions/engine/find_ready_tasks.sql	2ed934387ddfcf03ad6b09d5aa8f8faf9aadaf5135495a78c70f6315e773142a	2026-11-22 06:04:55.75966+00
functions/engine/find_step.sql	9d2fd5c46dcea5745529467208400bdaa39f437ca88eaf72b3ae0be876424ad0	2026-11-22 06:04:55.759776+00
functions/engine/fire_due_timers.sql	754393ecbdae318378d9d824de74a0926bad32f1b5096fcfce9cc80cfb9c5bce	2026-11-22 06:04:55.759982+00
functions/engine/free_dependents.sql	3ce46417c2a85c6891677fa021c82c27c7dcbcd06a483782a08b40ea20661025	2026-11-22 06:04:55.760228+00
functions/engine/lock_task.sql	2c34e3db6b7bca805e9b1efab6cd42768374953824adea846c7b3388d2a67466	2026-11-22 06:04:55.760343+00
functions/engine/new_task_uuid.sql	ce30f7d27cab3601755f0bf8d6a27e5a4bb0f42d5bb2efbc1604b9dee35a2e3c	2026-11-22 06:04:55.760504+00
functions/engine/now.sql	0e1da9525354124165025723cad106b36b6b674bf19a82a7f6769257927a88b1	2026-11-22 06:04:55.76061+00
functions/engine/prepared_receipt.sql	ba812def27b7f94fb779384bf93f357c3bcf365f5b8acf1335dfd464d2835821	2026-11-22 06:04:55.760717+00
functions/engine/receipt_statement.sql	a1c1f093710a40160a8e52a23a075cbda4cf5c36b43ce638bc7702ee282b5eed	2026-11-22 06:04:55.760861+00
functions/engine/receive_from_queue.sql	803245a7a243260d3966d0f788c6c71df3761ed9c426414a383a2939989f587b	2026-11-22 06:04:55.761209+00
functions/engine/receive_steps.sql	9232ea2c76155f03b2493d61adb3c45143646e63967bb5cb4fe6ec5f358c6817	2026-11-22 06:04:55.76139+00
functions/engine/release_steps.sql	cdaf84658f09b8f1a9561c20c31f3a0e7edff73fae1f1625fb4b587bc2dba54e	2026-11-22 06:04:55.761601+00
functions/engine/retry_delay_ms.sql	12be87e250956da23231b3e5e1bba62ea9c6c6a95debd7662e966981e9b923c2	2026-11-22 06:04:55.761694+00
functions/engine/step_uuid.sql	ce5cfd046caec1813840681cc866914677caa5b27effefff27464e2ab84e4495	2026-11-22 06:04:55.761779+00
functions/engine/submit_task.sql	8e353a29633e0fa7a00631b7721f6bbb700fc024d7d362cbf9a394f6dd5e68e8	2026-11-22 06:04:55.761901+00
functions/engine/submit_tasks.sql	b03cc1909f5fc475a4ae680582c56c2b81c52588856571e46f0a19fee3fab497	2026-11-22 06:04:55.762175+00
functions/engine/submit_tasks_silently.sql	70e3083011d440d07394f91819b6b18531143cd5cc646b793c85ec4914d35c87	2026-11-22 06:04:55.762279+00
functions/engine/task_problem.sql	43973f5109911d4298662bc1f8dafb0ea93f93b1f40a0e87afa5d7ea1b155a5f	2026-11-22 06:04:55.762376+00
functions/engine/timeout_grace_ms.sql	897a0bc308e48ed46afee817ceea86f7648514cdfa0c96e58be6f2c4fc9dbea2	2026-11-22 06:04:55.762454+00
functions/json_schema/json_path_segment.sql	a01edb472ad13685189d558afa582dc6ee3a5f44ab8ab0e2818c39a55105df2f	2026-11-22 06:04:55.762535+00
functions/json_schema/json_schema_array_mismatch.sql	7593c66429ac4fdcea717a1298ca9ae8254483b95ad76777a5a7e86e71ec54e2	2026-11-22 06:04:55.762669+00
functions/json_schema/json_schema_count_flaw.sql	1c64810118e4ef4cd81d9a6953dcc785afb7cf670e83f8147e8e6aaa219419fe	2026-11-22 06:04:55.762747+00
functions/json_schema/json_schema_error.sql	826b2e6a59b29905378a4c93bd9eb13bd136021a204a4bbe18f08647b054b282	2026-11-22 06:04:55.762832+00
functions/json_schema/json_schema_flaw.sql	a556d157d5ed6d0ea0da3fb5b95353e2159e6321d6938a5446da8b51b655e793	2026-11-22 06:04:55.762978+00
functions/json_schema/json_schema_list_flaw.sql	63b29a7d5cc2ff88ab6a6e112721d444fdfc3eadf489b845e3d8ac9744565cfb	2026-11-22 06:04:55.763443+00
functions/json_schema/json_schema_logic_mismatch.sql	9748fcd3bc9bcc632f07cc53a236e86f1067808b51802ae5f91636adcf998d51	2026-11-22 06:04:55.763675+00
functions/json_schema/json_schema_map_flaw.sql	ebbd2962c5ea723cb0a9f19b7ff7a410eb497560a4f145e2438608890d82c3c0	2026-11-22 06:04:55.763805+00
functions/json_schema/json_schema_mismatch.sql	bf2a7a3b602a7a874501d98eb64c6908c5a2128fa6ff557671740c57eab436bc	2026-11-22 06:04:55.764008+00
functions/json_schema/json_schema_object_mismatch.sql	993dba24d63af9605f03e1c5f969ba067a1561e14ba95c03116aebe8646976d3	2026-11-22 06:04:55.764139+00
functions/json_schema/json_schema_pattern_flaw.sql	7c34ea7cbd7a608539308aea10e7c80c4cf742ca5a491398a66ec1eed807e939	2026-11-22 06:04:55.764224+00
functions/json_schema/json_schema_reference.sql	d95309d314b4492221a274772edd6b39359a6787002f7e6a4f001ddc1e12e3fe	2026-11-22 06:04:55.764355+00
functions/json_schema/json_schema_reference_flaw.sql	654db59f77d15f5748d9c9e99c4a1bc6d3b484156dc60eeb711cbbf24148b016	2026-11-22 06:04:55.764459+00
functions/json_schema/json_schema_refusal.sql	b81d04f2cdedc7b98a2f449fe8ab275c6ceb99043115b0d67ab852e20a91123b	2026-11-22 06:04:55.764543+00
functions/json_schema/json_schema_strings_flaw.sql	89f8597ef9240b5be5b7634e445746385687f7f45ccfce9c6b1e056e9edfc714	2026-11-22 06:04:55.764638+00
functions/json_schema/json_schema_type_flaw.sql	e7387b0f24d58587692244d58edc30fc2b8b9c3486bf52e19252b8bdeb76966d	2026-11-22 06:04:55.764714+00
functions/json_schema/may_refer_back.sql	0b6d830b077681aec57b69bdf69252d90ac792d50ee679e1c2ef1e5c3b0a1478	2026-11-22 06:04:55.764798+00
functions/operators/cancel_task.sql	8afc948a8175bbe2e348fd06d3e69f759cb66ac8e2f5130f86f2734e2f7ba4e2	2026-11-22 06:04:55.764951+00
functions/operators/resolve_task.sql	78b1d9229c832069df98250630648376964b41032095879b14fe4c68bdd863da	2026-11-22 06:04:55.765043+00
functions/operators/retry_step.sql	89817fe9fa5fa39fa3493ea9b6fb0093200c7c7a649889621e996ea861fbcdd8	2026-11-22 06:04:55.765183+00
functions/operators/settle_step.sql	9841d58f145e0a5113f5f079f8bb7986ba714a78b90790a3469337b93633c3dc	2026-11-22 06:04:55.765346+00
functions/processes/deregister_process.sql	0f285f3e62bf6d7a4a01a802b74e1121ba9e69ab2111677386d89f24e38e38b4	2026-11-22 06:04:55.765426+00
functions/processes/forget_processes.sql	d32fe0021577bbbf1f0e7f97c73de10357ea4a3f3fd78d1f4033c785bf23e655	2026-11-22 06:04:55.765513+00
functions/processes/is_live.sql	3aaf80f7fc3abc4f91627ae5a27012c7a41a49094c9b277047a6c4be7de6343a	2026-11-22 06:04:55.765621+00
functions/processes/known_handlers.sql	041ec80300a9301db791e772706930c32183c993781b0b08654dd5617e7621f7	2026-11-22 06:04:55.765705+00
functions/processes/list_processes.sql	31693adfdc94152e66c1fd8ff0e6f57a1893bd65c8f444050e42c95489d3bd40	2026-11-22 06:04:55.765808+00
functions/processes/missing_handlers.sql	f0a5683aa73458b5edf2294eebc68c71097f73b1eb95893380ae8c2fb685d892	2026-11-22 06:04:55.765941+00
functions/processes/process_is_alive.sql	f1252c523756852e08b6d1fe7a41f52eab3c6d3b1781b3b7039a2e5f6ce3e80f	2026-11-22 06:04:55.766029+00
functions/processes/process_seen.sql	69b06e16a5cc33e983b79a0a5cde36b271fb8ecd5adbf3aae79968c19203fe10	2026-11-22 06:04:55.766116+00
functions/processes/register_process.sql	cf7d3a600646a885a38ee51fe73eccd70b358e83dcf2a0f1ae19a28935fbfbd4	2026-11-22 06:04:55.766209+00
functions/processes/steps_without_worker.sql	196bd5a14ed94e738c08ed3c597aded61ee1fbf0719b48b7903232d8579fc630	2026-11-22 06:04:55.766314+00
functions/processes/tasks_without_worker.sql	3350e4616bdcabd2576bacf01655b78c2f6dcb301a8129cb6e665b9e166a9dbc	2026-11-22 06:04:55.766456+00
functions/queues/archive_strange_messages.sql	7a1371bced7a85a017c619d0405fe6fe89afab8eb30815656ae2b93c7548cb4e	2026-11-22 06:04:55.766543+00
functions/queues/create_queue.sql	8d4759a2491c5a2a21fecd3a4bcbe9486aafa73f0aec902a94091fcd3a4d0b45	2026-11-22 06:04:55.766665+00
functions/queues/delay_messages.sql	bcb69f654dfde44c054723d45bce6e1c2c8c2e615713a5c5adf7d304c5c5a2cf	2026-11-22 06:04:55.766765+00
functions/queues/delete_messages.sql	6693912895a892c6e14989f012bec1433f29d7e74fc2d494a2c81771433f8940	2026-11-22 06:04:55.766872+00
functions/queues/discard_dead_rows.sql	bb2435ca980239e21f9b202261db58b9d1948f524e1ee9ba68edcb687a88c9ca	2026-11-22 06:04:55.76701+00
functions/queues/has_handler_index.sql	16cb23b3ef46d257e3b2f959d09c96e580885862d0ffd91c688800f4758a0ab7	2026-11-22 06:04:55.767093+00
functions/queues/is_step_message.sql	27380889a30e8b7c6410fed856836a4d03d0ec32cdfdc6c53c90f7b28e81c1bf	2026-11-22 06:04:55.767192+00
functions/queues/list_queues.sql	e6e89ebe9ba0e77ff4fb0f71af9a37b6b7257d7f2338426273c0a7a1afba9d7a	2026-11-22 06:04:55.767324+00
functions/queues/locked_positions.sql	f9fbdcf33c28adbacceaa691f8bbfbdd6e7854570c7f7ecd4732128a121d3b10	2026-11-22 06:04:55.767421+00
functions/queues/most_urgent_message.sql	4769f90883a3a70e572e63632a86c98209d2313ff14f27db45d921212ae78841	2026-11-22 06:04:55.767516+00
functions/queues/pass_used_numbers.sql	1afb9c5016379a02963ae4b2c1d8b8002543e39901f7b0fa3a837ffc8d559011	2026-11-22 06:04:55.767659+00
functions/queues/queue_tables.sql	94f39376a0f6f5d14b065c5daa60f596fa9353979ce642946b99ef31f8bb32fa	2026-11-22 06:04:55.767759+00
functions/queues/queued_handlers.sql	36c88d681e23ee0ed694ff33d90902adb64496b768e8d104225db7e2bfa15231	2026-11-22 06:04:55.767848+00
functions/queues/queued_messages.sql	d21af92d416a4a9cbfe8c05f364b7043e4885f4433654bc133abfb927e26c957	2026-11-22 06:04:55.767943+00
functions/queues/refill_later.sql	9ca752b68853211779ba616c6b3f3336ad6262444a5b5a5eb3d4a59abb31d235	2026-11-22 06:04:55.768034+00
functions/queues/refill_one_queue.sql	ac7656b9824cf550213ae878676f9ac9c48f671ead19a06b9020de0244013e02	2026-11-22 06:04:55.76812+00
functions/queues/refill_queue.sql	248a9d1b400b1fdda5b7a9994eee4a396ff297a33d9d574d9dfdcc86f898c769	2026-11-22 06:04:55.768218+00
functions/queues/refill_queues.sql	6c6394119f62f1a35e6df103642761eba4e4b97991d27b6be7ff4dbb22e3f0ae	2026-11-22 06:04:55.768333+00
functions/queues/repair_queue.sql	b52bd6bc3ad1d64a6dfac3f86a15df487f40dbdaec4ac87ef223ee32e12a948a	2026-11-22 06:04:55.768433+00
functions/queues/return_messages.sql	9c5e6192d834f3b35598d6c3bb45c74e3b15447e3a90bd05dce13c8be47e5b6e	2026-11-22 06:04:55.768598+00
functions/queues/rewrite_table.sql	283c090366ad02b64cd2d39148cc452add1b6658d124bebe495c27bf56423076	2026-11-22 06:04:55.768692+00
functions/queues/step_message.sql	4b06e9998355a8625bd54c9bf9b51f7f32b178cb44a38857054d52e88cca2d82	2026-11-22 06:04:55.768779+00
functions/queues/table_bytes.sql	d22fa98df397914ef159a53074598e5ff53338cbbb75b43ec2a3bb63514a9b03	2026-11-22 06:04:55.768857+00
functions/queues/tend_queue.sql	ba17bc341b41fa1096392842e4524f79fbfa773c7232ec6dd9cb94e910d0d9e9	2026-11-22 06:04:55.768973+00
functions/queues/use_unlogged_queues.sql	44c667d735da9885f2ffadb225f437acccf0ab1a2af7c7fee7cc8faf61baa15d	2026-11-22 06:04:55.769064+00
functions/reading/find_tasks.sql	20eb3a43d26743fd3d6ef5fabbce2720205fb185bda2b89e084a7b8efd32b643	2026-11-22 06:04:55.769152+00
functions/reading/first_task_uuid.sql	2eee58c4cc0e2cb836ae9fc434b4ede694dfb4ecc70f55324c7f03c112d5c558	2026-11-22 06:04:55.769234+00
functions/reading/get_step.sql	1cd3a83a5b70d6bf5b10af1250a0bdfd400773ccb9fc209abfb423de90920189	2026-11-22 06:04:55.769337+00
functions/reading/get_task.sql	4dd1f06fc397876f5188f091da84873b424c1b5d0513c7b4340490944f4ea73e	2026-11-22 06:04:55.769485+00
functions/reading/get_task_execution_context.sql	d86ff048b644c49ca675c48f50deee4f5a1dec42b228ca2bfefaf1387fe211d9	2026-11-22 06:04:55.769633+00
functions/reading/list_tasks.sql	b278d8c0f72718e9c14e08d7f122817c1b118636392b58e6f9e026b4165ac17e	2026-11-22 06:04:55.769888+00
functions/reading/recent_transitions.sql	a53f9c242ca288de7d22e7955b3a43179f57dbf8cf1797eab037b7507dcf0fe2	2026-11-22 06:04:55.770034+00
functions/reading/summarize_transitions.sql	41944e341fdad98f7d96d8e7b6b0465d9fda0230e5104677e8d0b3cf58421cd9	2026-11-22 06:04:55.770126+00
functions/reading/task_history.sql	2d62215f70ba1747d6775d5e47c63774c5156223bc1dcf9c08bce398769a3ce6	2026-11-22 06:04:55.770238+00
functions/reading/transition_marks.sql	27142e26d44a2f63dcc1263b85953c8f9faed925714084a933d56fe6191a696d	2026-11-22 06:04:55.77033+00
functions/templates/apply_template.sql	8f9244a3ed6118af18e81855812b1a99b3a3b8ca28bb7dfce6abaa44c08fe3a7	2026-11-22 06:04:55.770476+00
functions/templates/find_template.sql	10fee0f02b2814a9b5bff9553d2e993008cee552f9f7c820bc358be0e98cca31	2026-11-22 06:04:55.770604+00
functions/templates/ready_templates.sql	a290f1259b1e51d11069c9bd9bec952624de6b2aff1ba2239d7c78ddad4e76a9	2026-11-22 06:04:55.770702+00
functions/engine/tasker_ready_tasks.sql	d54099fe19533503ba7d9014af4ec1e83b1aacf705b425a2b0d86e46ecd82f63	2026-11-22 06:04:55.771203+00
\.


--
-- Data for Name: idempotency_keys; Type: TABLE DATA; Schema: tasker; Owner: -
--

COPY tasker.idempotency_keys (namespace, name, idempotency_key, task_uuid) FROM stdin;
test	diamond	complete	01a201db-8f21-7c29-80a4-2661c3450000
test	single	error	01a201db-8f44-74eb-bb2e-bdd596d60000
test	single	resolved_manually	01a201db-8f48-7a84-b1da-39b7525a0000
test	single	cancelled	01a201db-8f4d-764f-88ec-1f9899e30000
test	diamond	settled	01a201db-8f50-73cf-9f06-9c0763be0000
test	single	waiting_for_retry	01a201db-8f62-7d61-bcdb-04f64c820000
test	diamond	failed_in_part	01a201db-8f67-72e2-bfbf-d909aa580000
test	single	in_progress	01a201db-8f70-78c7-a5f3-8a9ece820000
test	single	cancelled_in_progress	01a201db-8f73-71b9-926f-7cb5c7b40000
test	linear	handed_on	01a201db-8f78-7a36-9438-53e9f9a00000
test	single	enqueued	01a201db-8f7e-7cb8-9bf9-a72459430000
test	single	pending	01a201db-8f81-7b04-a4f8-e916f0a20000
\.


--
-- Data for Name: namespaces; Type: TABLE DATA; Schema: tasker; Owner: -
--

COPY tasker.namespaces (namespace, created_at) FROM stdin;
test	2026-11-22 06:04:55.951399+00
\.


--
-- Data for Name: priorities_in_use; Type: TABLE DATA; Schema: tasker; Owner: -
--

COPY tasker.priorities_in_use (priority) FROM stdin;
0
1
\.


--
-- Data for Name: processes; Type: TABLE DATA; Schema: tasker; Owner: -
--

COPY tasker.processes (registration_uuid, started_at, last_seen_at, pid, places, taken, identity, role, host, version, mode, namespaces, handlers) FROM stdin;
eb2130c1-53e7-4e8d-9029-f588d2cc0fdd	2026-11-22 06:04:55.066109+00	2026-11-22 06:04:56.066109+00	1	10	3	worker-1	worker	host	0.1.0	Hybrid	{}	{builtin.noop}
957a5ac5-d7db-44a7-8f0e-de39591e6384	2026-11-22 06:04:55.066608+00	2026-11-22 06:04:56.066608+00	2	\N	\N	orchestrator-1	orchestrator	host	0.1.0	Hybrid	{}	{}
\.


--
-- Data for Name: queue_settings; Type: TABLE DATA; Schema: tasker; Owner: -
--

COPY tasker.queue_settings (unlogged, only_one) FROM stdin;
f	t
\.


--
-- Data for Name: queues_intact; Type: TABLE DATA; Schema: tasker; Owner: -
--

COPY tasker.queues_intact (since) FROM stdin;
2026-11-22 06:04:55.75079+00
\.


--
-- Data for Name: queues_to_refill; Type: TABLE DATA; Schema: tasker; Owner: -
--

COPY tasker.queues_to_refill (namespace, retry_at) FROM stdin;
\.


--
-- Data for Name: ready_steps; Type: TABLE DATA; Schema: tasker; Owner: -
--

COPY tasker.ready_steps (ready_no, task_uuid, ready_at, step_no, template_id, priority, cause) FROM stdin;
20	01a201db-8f81-7b04-a4f8-e916f0a20000	2026-11-22 06:04:56.064631+00	1	1	0	task_start
\.


--
-- Data for Name: schema_version; Type: TABLE DATA; Schema: tasker; Owner: -
--

COPY tasker.schema_version (version, oldest_build, only_one) FROM stdin;
0.1.0	0.1.0	t
\.


--
-- Data for Name: step_transitions; Type: TABLE DATA; Schema: tasker; Owner: -
--

COPY tasker.step_transitions (transition_no, task_uuid, at, step_no, attempt, from_state, to_state, actor, reason, error) FROM stdin;
1	01a201db-8f21-7c29-80a4-2661c3450000	2026-11-22 06:04:55.976785+00	1	0	pending	enqueued	orchestrator-1	\N	\N
2	01a201db-8f21-7c29-80a4-2661c3450000	2026-11-22 06:04:55.985251+00	1	1	enqueued	in_progress	worker-1	\N	\N
3	01a201db-8f21-7c29-80a4-2661c3450000	2026-11-22 06:04:55.990202+00	1	1	in_progress	complete	worker-1	\N	\N
4	01a201db-8f21-7c29-80a4-2661c3450000	2026-11-22 06:04:55.996023+00	2	0	pending	enqueued	orchestrator-1	\N	\N
5	01a201db-8f21-7c29-80a4-2661c3450000	2026-11-22 06:04:55.996023+00	3	0	pending	enqueued	orchestrator-1	\N	\N
6	01a201db-8f21-7c29-80a4-2661c3450000	2026-11-22 06:04:55.9975+00	2	1	enqueued	in_progress	worker-1	\N	\N
7	01a201db-8f21-7c29-80a4-2661c3450000	2026-11-22 06:04:55.9975+00	3	1	enqueued	in_progress	worker-1	\N	\N
8	01a201db-8f21-7c29-80a4-2661c3450000	2026-11-22 06:04:55.998405+00	2	1	in_progress	complete	worker-1	\N	\N
9	01a201db-8f21-7c29-80a4-2661c3450000	2026-11-22 06:04:55.998405+00	3	1	in_progress	complete	worker-1	\N	\N
10	01a201db-8f21-7c29-80a4-2661c3450000	2026-11-22 06:04:55.999491+00	4	0	pending	enqueued	orchestrator-1	\N	\N
11	01a201db-8f21-7c29-80a4-2661c3450000	2026-11-22 06:04:56.000781+00	4	1	enqueued	in_progress	worker-1	\N	\N
12	01a201db-8f21-7c29-80a4-2661c3450000	2026-11-22 06:04:56.001605+00	4	1	in_progress	complete	worker-1	\N	\N
13	01a201db-8f44-74eb-bb2e-bdd596d60000	2026-11-22 06:04:56.004424+00	1	0	pending	enqueued	orchestrator-1	\N	\N
14	01a201db-8f44-74eb-bb2e-bdd596d60000	2026-11-22 06:04:56.005794+00	1	1	enqueued	in_progress	worker-1	\N	\N
15	01a201db-8f44-74eb-bb2e-bdd596d60000	2026-11-22 06:04:56.006502+00	1	1	in_progress	error	worker-1	\N	{"kind": "handler_failed", "message": "no"}
16	01a201db-8f48-7a84-b1da-39b7525a0000	2026-11-22 06:04:56.008505+00	1	0	pending	enqueued	orchestrator-1	\N	\N
17	01a201db-8f48-7a84-b1da-39b7525a0000	2026-11-22 06:04:56.009838+00	1	1	enqueued	in_progress	worker-1	\N	\N
18	01a201db-8f48-7a84-b1da-39b7525a0000	2026-11-22 06:04:56.011172+00	1	1	in_progress	error	worker-1	\N	{"kind": "handler_failed", "message": "no"}
19	01a201db-8f4d-764f-88ec-1f9899e30000	2026-11-22 06:04:56.014521+00	1	0	pending	cancelled	operator	\N	\N
20	01a201db-8f50-73cf-9f06-9c0763be0000	2026-11-22 06:04:56.017385+00	1	0	pending	skipped	operator	\N	\N
21	01a201db-8f50-73cf-9f06-9c0763be0000	2026-11-22 06:04:56.022765+00	2	0	pending	enqueued	orchestrator-1	\N	\N
22	01a201db-8f50-73cf-9f06-9c0763be0000	2026-11-22 06:04:56.022765+00	3	0	pending	enqueued	orchestrator-1	\N	\N
23	01a201db-8f50-73cf-9f06-9c0763be0000	2026-11-22 06:04:56.02422+00	2	1	enqueued	in_progress	worker-1	\N	\N
24	01a201db-8f50-73cf-9f06-9c0763be0000	2026-11-22 06:04:56.02422+00	3	1	enqueued	in_progress	worker-1	\N	\N
25	01a201db-8f50-73cf-9f06-9c0763be0000	2026-11-22 06:04:56.025153+00	2	1	in_progress	error	worker-1	\N	{"kind": "handler_failed", "message": "no"}
26	01a201db-8f50-73cf-9f06-9c0763be0000	2026-11-22 06:04:56.025153+00	3	1	in_progress	complete	worker-1	\N	\N
27	01a201db-8f50-73cf-9f06-9c0763be0000	2026-11-22 06:04:56.026384+00	2	1	error	resolved_manually	operator	\N	\N
28	01a201db-8f50-73cf-9f06-9c0763be0000	2026-11-22 06:04:56.029684+00	4	0	pending	enqueued	orchestrator-1	\N	\N
29	01a201db-8f50-73cf-9f06-9c0763be0000	2026-11-22 06:04:56.030998+00	4	1	enqueued	in_progress	worker-1	\N	\N
30	01a201db-8f50-73cf-9f06-9c0763be0000	2026-11-22 06:04:56.031833+00	4	1	in_progress	complete	worker-1	\N	\N
31	01a201db-8f62-7d61-bcdb-04f64c820000	2026-11-22 06:04:56.035023+00	1	0	pending	enqueued	orchestrator-1	\N	\N
32	01a201db-8f62-7d61-bcdb-04f64c820000	2026-11-22 06:04:56.036317+00	1	1	enqueued	in_progress	worker-1	\N	\N
33	01a201db-8f62-7d61-bcdb-04f64c820000	2026-11-22 06:04:56.037364+00	1	1	in_progress	waiting_for_retry	worker-1	\N	{"kind": "handler_failed", "message": "no"}
34	01a201db-8f67-72e2-bfbf-d909aa580000	2026-11-22 06:04:56.040153+00	1	0	pending	enqueued	orchestrator-1	\N	\N
35	01a201db-8f67-72e2-bfbf-d909aa580000	2026-11-22 06:04:56.042272+00	1	1	enqueued	in_progress	worker-1	\N	\N
36	01a201db-8f67-72e2-bfbf-d909aa580000	2026-11-22 06:04:56.043392+00	1	1	in_progress	complete	worker-1	\N	\N
37	01a201db-8f67-72e2-bfbf-d909aa580000	2026-11-22 06:04:56.044638+00	2	0	pending	enqueued	orchestrator-1	\N	\N
38	01a201db-8f67-72e2-bfbf-d909aa580000	2026-11-22 06:04:56.044638+00	3	0	pending	enqueued	orchestrator-1	\N	\N
39	01a201db-8f67-72e2-bfbf-d909aa580000	2026-11-22 06:04:56.046142+00	2	1	enqueued	in_progress	worker-1	\N	\N
40	01a201db-8f67-72e2-bfbf-d909aa580000	2026-11-22 06:04:56.046142+00	3	1	enqueued	in_progress	worker-1	\N	\N
41	01a201db-8f67-72e2-bfbf-d909aa580000	2026-11-22 06:04:56.047138+00	2	1	in_progress	error	worker-1	\N	{"kind": "handler_failed", "message": "no"}
42	01a201db-8f70-78c7-a5f3-8a9ece820000	2026-11-22 06:04:56.049079+00	1	0	pending	enqueued	orchestrator-1	\N	\N
43	01a201db-8f70-78c7-a5f3-8a9ece820000	2026-11-22 06:04:56.050717+00	1	1	enqueued	in_progress	worker-1	\N	\N
44	01a201db-8f73-71b9-926f-7cb5c7b40000	2026-11-22 06:04:56.05214+00	1	0	pending	enqueued	orchestrator-1	\N	\N
45	01a201db-8f73-71b9-926f-7cb5c7b40000	2026-11-22 06:04:56.053751+00	1	1	enqueued	in_progress	worker-1	\N	\N
46	01a201db-8f78-7a36-9438-53e9f9a00000	2026-11-22 06:04:56.05783+00	1	0	pending	enqueued	orchestrator-1	\N	\N
47	01a201db-8f78-7a36-9438-53e9f9a00000	2026-11-22 06:04:56.059611+00	1	1	enqueued	in_progress	worker-1	\N	\N
48	01a201db-8f78-7a36-9438-53e9f9a00000	2026-11-22 06:04:56.060501+00	1	1	in_progress	complete	worker-1	\N	\N
49	01a201db-8f78-7a36-9438-53e9f9a00000	2026-11-22 06:04:56.060501+00	2	1	pending	in_progress	worker-1	\N	\N
50	01a201db-8f7e-7cb8-9bf9-a72459430000	2026-11-22 06:04:56.063411+00	1	0	pending	enqueued	orchestrator-1	\N	\N
\.


--
-- Data for Name: steps; Type: TABLE DATA; Schema: tasker; Owner: -
--

COPY tasker.steps (task_uuid, msg_id, enqueued_at, started_at, finished_at, input_bytes, step_no, template_id, state, waiting_on, attempt, max_attempts, receipt, result_bytes, worker, result, error) FROM stdin;
01a201db-8f67-72e2-bfbf-d909aa580000	\N	2026-11-22 06:04:56.040153+00	2026-11-22 06:04:56.042272+00	2026-11-22 06:04:56.043392+00	5	1	2	complete	0	1	3	1	18	worker-1	{"done": "a"}	\N
01a201db-8f21-7c29-80a4-2661c3450000	\N	2026-11-22 06:04:55.976785+00	2026-11-22 06:04:55.985251+00	2026-11-22 06:04:55.990202+00	5	1	2	complete	0	1	3	1	18	worker-1	{"done": "a"}	\N
01a201db-8f50-73cf-9f06-9c0763be0000	\N	2026-11-22 06:04:56.022765+00	2026-11-22 06:04:56.02422+00	2026-11-22 06:04:56.025153+00	17	3	2	complete	0	1	3	1	18	worker-1	{"done": "c"}	\N
01a201db-8f50-73cf-9f06-9c0763be0000	\N	2026-11-22 06:04:56.022765+00	2026-11-22 06:04:56.02422+00	2026-11-22 06:04:56.026384+00	17	2	2	resolved_manually	0	1	3	1	20	worker-1	7	\N
01a201db-8f21-7c29-80a4-2661c3450000	\N	2026-11-22 06:04:55.996023+00	2026-11-22 06:04:55.9975+00	2026-11-22 06:04:55.998405+00	23	2	2	complete	0	1	3	1	18	worker-1	{"done": "b"}	\N
01a201db-8f21-7c29-80a4-2661c3450000	\N	2026-11-22 06:04:55.996023+00	2026-11-22 06:04:55.9975+00	2026-11-22 06:04:55.998405+00	23	3	2	complete	0	1	3	1	18	worker-1	{"done": "c"}	\N
01a201db-8f67-72e2-bfbf-d909aa580000	13	2026-11-22 06:04:56.044638+00	2026-11-22 06:04:56.046142+00	\N	23	3	2	in_progress	0	1	3	1	0	worker-1	\N	\N
01a201db-8f67-72e2-bfbf-d909aa580000	\N	2026-11-22 06:04:56.044638+00	2026-11-22 06:04:56.046142+00	2026-11-22 06:04:56.047138+00	23	2	2	error	0	1	3	1	0	worker-1	\N	{"kind": "handler_failed", "message": "no"}
01a201db-8f21-7c29-80a4-2661c3450000	\N	2026-11-22 06:04:55.999491+00	2026-11-22 06:04:56.000781+00	2026-11-22 06:04:56.001605+00	41	4	2	complete	0	1	3	1	18	worker-1	{"done": "d"}	\N
01a201db-8f50-73cf-9f06-9c0763be0000	\N	2026-11-22 06:04:56.029684+00	2026-11-22 06:04:56.030998+00	2026-11-22 06:04:56.031833+00	43	4	2	complete	0	1	3	1	18	worker-1	{"done": "d"}	\N
01a201db-8f44-74eb-bb2e-bdd596d60000	\N	2026-11-22 06:04:56.004424+00	2026-11-22 06:04:56.005794+00	2026-11-22 06:04:56.006502+00	5	1	1	error	0	1	3	1	0	worker-1	\N	{"kind": "handler_failed", "message": "no"}
01a201db-8f70-78c7-a5f3-8a9ece820000	14	2026-11-22 06:04:56.049079+00	2026-11-22 06:04:56.050717+00	\N	5	1	1	in_progress	0	1	3	1	0	worker-1	\N	\N
01a201db-8f48-7a84-b1da-39b7525a0000	\N	2026-11-22 06:04:56.008505+00	2026-11-22 06:04:56.009838+00	2026-11-22 06:04:56.011172+00	5	1	1	error	0	1	3	1	0	worker-1	\N	{"kind": "handler_failed", "message": "no"}
01a201db-8f4d-764f-88ec-1f9899e30000	\N	\N	\N	2026-11-22 06:04:56.014521+00	5	1	1	cancelled	0	0	3	0	0	\N	\N	\N
01a201db-8f50-73cf-9f06-9c0763be0000	\N	\N	\N	2026-11-22 06:04:56.017385+00	5	1	2	skipped	0	0	3	0	12	\N	null	\N
01a201db-8f62-7d61-bcdb-04f64c820000	\N	2026-11-22 06:04:56.035023+00	2026-11-22 06:04:56.036317+00	\N	5	1	1	waiting_for_retry	0	1	3	1	0	worker-1	\N	{"kind": "handler_failed", "message": "no"}
01a201db-8f67-72e2-bfbf-d909aa580000	\N	\N	\N	\N	5	4	2	pending	2	0	3	0	0	\N	\N	\N
01a201db-8f73-71b9-926f-7cb5c7b40000	15	2026-11-22 06:04:56.05214+00	2026-11-22 06:04:56.053751+00	\N	5	1	1	in_progress	0	1	3	1	0	worker-1	\N	\N
01a201db-8f78-7a36-9438-53e9f9a00000	\N	\N	\N	\N	5	3	3	pending	1	0	3	0	0	\N	\N	\N
01a201db-8f78-7a36-9438-53e9f9a00000	\N	2026-11-22 06:04:56.05783+00	2026-11-22 06:04:56.059611+00	2026-11-22 06:04:56.060501+00	5	1	3	complete	0	1	3	1	18	worker-1	{"done": "a"}	\N
01a201db-8f78-7a36-9438-53e9f9a00000	16	2026-11-22 06:04:56.060501+00	2026-11-22 06:04:56.060501+00	\N	23	2	3	in_progress	0	1	3	1	0	worker-1	\N	\N
01a201db-8f7e-7cb8-9bf9-a72459430000	17	2026-11-22 06:04:56.063411+00	\N	\N	5	1	1	enqueued	0	0	3	0	0	\N	\N	\N
01a201db-8f81-7b04-a4f8-e916f0a20000	\N	\N	\N	\N	5	1	1	pending	0	0	3	0	0	\N	\N	\N
\.


--
-- Data for Name: task_transitions; Type: TABLE DATA; Schema: tasker; Owner: -
--

COPY tasker.task_transitions (transition_no, task_uuid, at, from_state, to_state, actor, reason) FROM stdin;
1	01a201db-8f21-7c29-80a4-2661c3450000	2026-11-22 06:04:55.976785+00	pending	in_progress	orchestrator-1	\N
2	01a201db-8f21-7c29-80a4-2661c3450000	2026-11-22 06:04:56.001605+00	in_progress	complete	worker-1	\N
3	01a201db-8f44-74eb-bb2e-bdd596d60000	2026-11-22 06:04:56.004424+00	pending	in_progress	orchestrator-1	\N
4	01a201db-8f44-74eb-bb2e-bdd596d60000	2026-11-22 06:04:56.006502+00	in_progress	error	worker-1	\N
5	01a201db-8f48-7a84-b1da-39b7525a0000	2026-11-22 06:04:56.008505+00	pending	in_progress	orchestrator-1	\N
6	01a201db-8f48-7a84-b1da-39b7525a0000	2026-11-22 06:04:56.011172+00	in_progress	error	worker-1	\N
7	01a201db-8f48-7a84-b1da-39b7525a0000	2026-11-22 06:04:56.012413+00	error	resolved_manually	operator	\N
8	01a201db-8f4d-764f-88ec-1f9899e30000	2026-11-22 06:04:56.014521+00	pending	cancelled	operator	\N
9	01a201db-8f50-73cf-9f06-9c0763be0000	2026-11-22 06:04:56.017385+00	pending	in_progress	operator	\N
10	01a201db-8f50-73cf-9f06-9c0763be0000	2026-11-22 06:04:56.025153+00	in_progress	error	worker-1	\N
11	01a201db-8f50-73cf-9f06-9c0763be0000	2026-11-22 06:04:56.026384+00	error	in_progress	operator	\N
12	01a201db-8f50-73cf-9f06-9c0763be0000	2026-11-22 06:04:56.031833+00	in_progress	complete	worker-1	\N
13	01a201db-8f62-7d61-bcdb-04f64c820000	2026-11-22 06:04:56.035023+00	pending	in_progress	orchestrator-1	\N
14	01a201db-8f67-72e2-bfbf-d909aa580000	2026-11-22 06:04:56.040153+00	pending	in_progress	orchestrator-1	\N
15	01a201db-8f70-78c7-a5f3-8a9ece820000	2026-11-22 06:04:56.049079+00	pending	in_progress	orchestrator-1	\N
16	01a201db-8f73-71b9-926f-7cb5c7b40000	2026-11-22 06:04:56.05214+00	pending	in_progress	orchestrator-1	\N
17	01a201db-8f73-71b9-926f-7cb5c7b40000	2026-11-22 06:04:56.05455+00	in_progress	cancelled	operator	\N
18	01a201db-8f78-7a36-9438-53e9f9a00000	2026-11-22 06:04:56.05783+00	pending	in_progress	orchestrator-1	\N
19	01a201db-8f7e-7cb8-9bf9-a72459430000	2026-11-22 06:04:56.063411+00	pending	in_progress	orchestrator-1	\N
\.


--
-- Data for Name: tasks; Type: TABLE DATA; Schema: tasker; Owner: -
--

COPY tasker.tasks (task_uuid, created_at, started_at, finished_at, template_id, state, priority, active_steps, failed_steps, context, idempotency_key, reason) FROM stdin;
01a201db-8f21-7c29-80a4-2661c3450000	2026-11-22 06:04:55.967535+00	2026-11-22 06:04:55.976785+00	2026-11-22 06:04:56.001605+00	2	complete	0	0	0	{}	complete	\N
01a201db-8f44-74eb-bb2e-bdd596d60000	2026-11-22 06:04:56.00343+00	2026-11-22 06:04:56.004424+00	2026-11-22 06:04:56.006502+00	1	error	0	0	1	{}	error	\N
01a201db-8f48-7a84-b1da-39b7525a0000	2026-11-22 06:04:56.007408+00	2026-11-22 06:04:56.008505+00	2026-11-22 06:04:56.011172+00	1	resolved_manually	0	0	1	{}	resolved_manually	\N
01a201db-8f4d-764f-88ec-1f9899e30000	2026-11-22 06:04:56.013318+00	\N	2026-11-22 06:04:56.014521+00	1	cancelled	0	0	0	{}	cancelled	\N
01a201db-8f50-73cf-9f06-9c0763be0000	2026-11-22 06:04:56.015869+00	2026-11-22 06:04:56.017385+00	2026-11-22 06:04:56.031833+00	2	complete	0	0	0	{}	settled	\N
01a201db-8f62-7d61-bcdb-04f64c820000	2026-11-22 06:04:56.034045+00	2026-11-22 06:04:56.035023+00	\N	1	in_progress	0	1	0	{}	waiting_for_retry	\N
01a201db-8f67-72e2-bfbf-d909aa580000	2026-11-22 06:04:56.039163+00	2026-11-22 06:04:56.040153+00	\N	2	in_progress	0	1	1	{}	failed_in_part	\N
01a201db-8f70-78c7-a5f3-8a9ece820000	2026-11-22 06:04:56.047923+00	2026-11-22 06:04:56.049079+00	\N	1	in_progress	0	1	0	{}	in_progress	\N
01a201db-8f73-71b9-926f-7cb5c7b40000	2026-11-22 06:04:56.051311+00	2026-11-22 06:04:56.05214+00	2026-11-22 06:04:56.05455+00	1	cancelled	0	1	0	{}	cancelled_in_progress	\N
01a201db-8f78-7a36-9438-53e9f9a00000	2026-11-22 06:04:56.055897+00	2026-11-22 06:04:56.05783+00	\N	3	in_progress	0	1	0	{}	handed_on	\N
01a201db-8f7e-7cb8-9bf9-a72459430000	2026-11-22 06:04:56.062237+00	2026-11-22 06:04:56.063411+00	\N	1	in_progress	1	1	0	{}	enqueued	\N
01a201db-8f81-7b04-a4f8-e916f0a20000	2026-11-22 06:04:56.064631+00	\N	\N	1	pending	0	1	0	{}	pending	\N
\.


--
-- Data for Name: template_steps; Type: TABLE DATA; Schema: tasker; Owner: -
--

COPY tasker.template_steps (template_id, step_no, name, handler, input, depends_on, dependents, max_attempts, backoff, base_ms, max_ms, jitter, timeout_ms, dependency_results) FROM stdin;
1	1	only	builtin.noop	{}	{}	{}	3	fixed	1000	60000	f	30000	inline
2	1	a	builtin.noop	{}	{}	{2,3}	3	fixed	1000	60000	f	30000	inline
2	2	b	builtin.noop	{}	{1}	{4}	3	fixed	1000	60000	f	30000	inline
2	3	c	builtin.noop	{}	{1}	{4}	3	fixed	1000	60000	f	30000	inline
2	4	d	builtin.noop	{}	{2,3}	{}	3	fixed	1000	60000	f	30000	inline
3	1	a	builtin.noop	{}	{}	{2}	3	fixed	1000	60000	f	30000	inline
3	2	b	builtin.noop	{}	{1}	{3}	3	fixed	1000	60000	f	30000	inline
3	3	c	builtin.noop	{}	{2}	{}	3	fixed	1000	60000	f	30000	inline
\.


--
-- Data for Name: templates; Type: TABLE DATA; Schema: tasker; Owner: -
--

COPY tasker.templates (template_id, namespace, name, version, description, input_schema, body, step_count, created_at) FROM stdin;
1	test	single	1.0.0	\N	\N	{"name": "single", "steps": [{"name": "only", "input": {}, "retry": {"jitter": false, "max_ms": 60000, "backoff": "fixed", "base_ms": 1000, "max_attempts": 3}, "handler": "builtin.noop", "depends_on": [], "timeout_ms": 30000, "dependency_results": "inline"}], "version": "1.0.0", "namespace": "test"}	1	2026-11-22 06:04:55.95944+00
2	test	diamond	1.0.0	\N	\N	{"name": "diamond", "steps": [{"name": "a", "input": {}, "retry": {"jitter": false, "max_ms": 60000, "backoff": "fixed", "base_ms": 1000, "max_attempts": 3}, "handler": "builtin.noop", "depends_on": [], "timeout_ms": 30000, "dependency_results": "inline"}, {"name": "b", "input": {}, "retry": {"jitter": false, "max_ms": 60000, "backoff": "fixed", "base_ms": 1000, "max_attempts": 3}, "handler": "builtin.noop", "depends_on": ["a"], "timeout_ms": 30000, "dependency_results": "inline"}, {"name": "c", "input": {}, "retry": {"jitter": false, "max_ms": 60000, "backoff": "fixed", "base_ms": 1000, "max_attempts": 3}, "handler": "builtin.noop", "depends_on": ["a"], "timeout_ms": 30000, "dependency_results": "inline"}, {"name": "d", "input": {}, "retry": {"jitter": false, "max_ms": 60000, "backoff": "fixed", "base_ms": 1000, "max_attempts": 3}, "handler": "builtin.noop", "depends_on": ["b", "c"], "timeout_ms": 30000, "dependency_results": "inline"}], "version": "1.0.0", "namespace": "test"}	4	2026-11-22 06:04:55.963459+00
3	test	linear	1.0.0	\N	\N	{"name": "linear", "steps": [{"name": "a", "input": {}, "retry": {"jitter": false, "max_ms": 60000, "backoff": "fixed", "base_ms": 1000, "max_attempts": 3}, "handler": "builtin.noop", "depends_on": [], "timeout_ms": 30000, "dependency_results": "inline"}, {"name": "b", "input": {}, "retry": {"jitter": false, "max_ms": 60000, "backoff": "fixed", "base_ms": 1000, "max_attempts": 3}, "handler": "builtin.noop", "depends_on": ["a"], "timeout_ms": 30000, "dependency_results": "inline"}, {"name": "c", "input": {}, "retry": {"jitter": false, "max_ms": 60000, "backoff": "fixed", "base_ms": 1000, "max_attempts": 3}, "handler": "builtin.noop", "depends_on": ["b"], "timeout_ms": 30000, "dependency_results": "inline"}], "version": "1.0.0", "namespace": "test"}	3	2026-11-22 06:04:55.965623+00
\.


--
-- Data for Name: timers; Type: TABLE DATA; Schema: tasker; Owner: -
--

COPY tasker.timers (task_uuid, step_no, due_at) FROM stdin;
01a201db-8f62-7d61-bcdb-04f64c820000	1	2026-11-22 06:04:57.037364+00
\.


--
-- Name: q_worker_test_queue_msg_id_seq; Type: SEQUENCE SET; Schema: pgmq; Owner: -
--

SELECT pg_catalog.setval('pgmq.q_worker_test_queue_msg_id_seq', 17, true);


--
-- Name: ready_steps_ready_no_seq; Type: SEQUENCE SET; Schema: tasker; Owner: -
--

SELECT pg_catalog.setval('tasker.ready_steps_ready_no_seq', 20, true);


--
-- Name: step_transitions_transition_no_seq; Type: SEQUENCE SET; Schema: tasker; Owner: -
--

SELECT pg_catalog.setval('tasker.step_transitions_transition_no_seq', 50, true);


--
-- Name: task_transitions_transition_no_seq; Type: SEQUENCE SET; Schema: tasker; Owner: -
--

SELECT pg_catalog.setval('tasker.task_transitions_transition_no_seq', 19, true);


--
-- Name: templates_template_id_seq; Type: SEQUENCE SET; Schema: tasker; Owner: -
--

SELECT pg_catalog.setval('tasker.templates_template_id_seq', 3, true);


--
-- Name: __pgmq_migrations __pgmq_migrations_pkey; Type: CONSTRAINT; Schema: pgmq; Owner: -
--

ALTER TABLE ONLY pgmq.__pgmq_migrations
    ADD CONSTRAINT __pgmq_migrations_pkey PRIMARY KEY (name);


--
-- Name: a_worker_test_queue a_worker_test_queue_pkey; Type: CONSTRAINT; Schema: pgmq; Owner: -
--

ALTER TABLE ONLY pgmq.a_worker_test_queue
    ADD CONSTRAINT a_worker_test_queue_pkey PRIMARY KEY (msg_id);


--
-- Name: meta meta_queue_name_key; Type: CONSTRAINT; Schema: pgmq; Owner: -
--

ALTER TABLE ONLY pgmq.meta
    ADD CONSTRAINT meta_queue_name_key UNIQUE (queue_name);


--
-- Name: notify_insert_throttle notify_insert_throttle_queue_name_key; Type: CONSTRAINT; Schema: pgmq; Owner: -
--

ALTER TABLE ONLY pgmq.notify_insert_throttle
    ADD CONSTRAINT notify_insert_throttle_queue_name_key UNIQUE (queue_name);


--
-- Name: q_worker_test_queue q_worker_test_queue_pkey; Type: CONSTRAINT; Schema: pgmq; Owner: -
--

ALTER TABLE ONLY pgmq.q_worker_test_queue
    ADD CONSTRAINT q_worker_test_queue_pkey PRIMARY KEY (msg_id);


--
-- Name: topic_bindings topic_bindings_unique_pattern_queue; Type: CONSTRAINT; Schema: pgmq; Owner: -
--

ALTER TABLE ONLY pgmq.topic_bindings
    ADD CONSTRAINT topic_bindings_unique_pattern_queue UNIQUE (pattern, queue_name);


--
-- Name: template_steps a_step_name_is_unique_in_its_template; Type: CONSTRAINT; Schema: tasker; Owner: -
--

ALTER TABLE ONLY tasker.template_steps
    ADD CONSTRAINT a_step_name_is_unique_in_its_template UNIQUE (name, template_id);


--
-- Name: templates a_version_is_applied_once; Type: CONSTRAINT; Schema: tasker; Owner: -
--

ALTER TABLE ONLY tasker.templates
    ADD CONSTRAINT a_version_is_applied_once UNIQUE (namespace, name, version);


--
-- Name: applied_files applied_files_pkey; Type: CONSTRAINT; Schema: tasker; Owner: -
--

ALTER TABLE ONLY tasker.applied_files
    ADD CONSTRAINT applied_files_pkey PRIMARY KEY (file);


--
-- Name: idempotency_keys idempotency_keys_pkey; Type: CONSTRAINT; Schema: tasker; Owner: -
--

ALTER TABLE ONLY tasker.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (namespace, name, idempotency_key);


--
-- Name: namespaces namespaces_pkey; Type: CONSTRAINT; Schema: tasker; Owner: -
--

ALTER TABLE ONLY tasker.namespaces
    ADD CONSTRAINT namespaces_pkey PRIMARY KEY (namespace);


--
-- Name: processes processes_pkey; Type: CONSTRAINT; Schema: tasker; Owner: -
--

ALTER TABLE ONLY tasker.processes
    ADD CONSTRAINT processes_pkey PRIMARY KEY (registration_uuid);


--
-- Name: queue_settings queue_settings_pkey; Type: CONSTRAINT; Schema: tasker; Owner: -
--

ALTER TABLE ONLY tasker.queue_settings
    ADD CONSTRAINT queue_settings_pkey PRIMARY KEY (only_one);


--
-- Name: queues_to_refill queues_to_refill_pkey; Type: CONSTRAINT; Schema: tasker; Owner: -
--

ALTER TABLE ONLY tasker.queues_to_refill
    ADD CONSTRAINT queues_to_refill_pkey PRIMARY KEY (namespace);


--
-- Name: schema_version schema_version_pkey; Type: CONSTRAINT; Schema: tasker; Owner: -
--

ALTER TABLE ONLY tasker.schema_version
    ADD CONSTRAINT schema_version_pkey PRIMARY KEY (only_one);


--
-- Name: steps steps_pkey; Type: CONSTRAINT; Schema: tasker; Owner: -
--

ALTER TABLE ONLY tasker.steps
    ADD CONSTRAINT steps_pkey PRIMARY KEY (task_uuid, step_no);


--
-- Name: tasks tasks_pkey; Type: CONSTRAINT; Schema: tasker; Owner: -
--

ALTER TABLE ONLY tasker.tasks
    ADD CONSTRAINT tasks_pkey PRIMARY KEY (task_uuid);


--
-- Name: template_steps template_steps_pkey; Type: CONSTRAINT; Schema: tasker; Owner: -
--

ALTER TABLE ONLY tasker.template_steps
    ADD CONSTRAINT template_steps_pkey PRIMARY KEY (template_id, step_no);


--
-- Name: templates templates_pkey; Type: CONSTRAINT; Schema: tasker; Owner: -
--

ALTER TABLE ONLY tasker.templates
    ADD CONSTRAINT templates_pkey PRIMARY KEY (template_id);


--
-- Name: timers timers_pkey; Type: CONSTRAINT; Schema: tasker; Owner: -
--

ALTER TABLE ONLY tasker.timers
    ADD CONSTRAINT timers_pkey PRIMARY KEY (task_uuid, step_no);


--
-- Name: archived_at_idx_worker_test_queue; Type: INDEX; Schema: pgmq; Owner: -
--

CREATE INDEX archived_at_idx_worker_test_queue ON pgmq.a_worker_test_queue USING btree (archived_at);


--
-- Name: idx_notify_throttle_active; Type: INDEX; Schema: pgmq; Owner: -
--

CREATE INDEX idx_notify_throttle_active ON pgmq.notify_insert_throttle USING btree (queue_name, last_notified_at) WHERE (throttle_interval_ms > 0);


--
-- Name: idx_topic_bindings_covering; Type: INDEX; Schema: pgmq; Owner: -
--

CREATE INDEX idx_topic_bindings_covering ON pgmq.topic_bindings USING btree (pattern) INCLUDE (queue_name, compiled_regex);


--
-- Name: q_worker_test_queue_expr_expr1_msg_id_idx; Type: INDEX; Schema: pgmq; Owner: -
--

CREATE INDEX q_worker_test_queue_expr_expr1_msg_id_idx ON pgmq.q_worker_test_queue USING btree (((message ->> 'handler'::text)) COLLATE "C", ((message -> 'priority'::text)) DESC, msg_id);


--
-- Name: priorities_in_use_in_order; Type: INDEX; Schema: tasker; Owner: -
--

CREATE INDEX priorities_in_use_in_order ON tasker.priorities_in_use USING btree (priority);


--
-- Name: ready_steps_in_order; Type: INDEX; Schema: tasker; Owner: -
--

CREATE INDEX ready_steps_in_order ON tasker.ready_steps USING btree (priority DESC, ready_no);


--
-- Name: ready_steps_of_template; Type: INDEX; Schema: tasker; Owner: -
--

CREATE INDEX ready_steps_of_template ON tasker.ready_steps USING btree (template_id, priority DESC, ready_no);


--
-- Name: step_transitions_by_range; Type: INDEX; Schema: tasker; Owner: -
--

CREATE INDEX step_transitions_by_range ON tasker.step_transitions USING brin (task_uuid uuid_minmax_multi_ops, transition_no) WITH (pages_per_range='64', autosummarize='on');


--
-- Name: task_transitions_by_range; Type: INDEX; Schema: tasker; Owner: -
--

CREATE INDEX task_transitions_by_range ON tasker.task_transitions USING brin (task_uuid uuid_minmax_multi_ops, transition_no) WITH (pages_per_range='64', autosummarize='on');


--
-- Name: tasks_not_complete; Type: INDEX; Schema: tasker; Owner: -
--

CREATE INDEX tasks_not_complete ON tasker.tasks USING btree (listed_as, task_uuid) WHERE (listed_as <> 'complete'::tasker.task_state);


--
-- Name: tasks_of_template; Type: INDEX; Schema: tasker; Owner: -
--

CREATE INDEX tasks_of_template ON tasker.tasks USING btree (template_id, task_uuid);


--
-- Name: template_steps_that_depend_on_none; Type: INDEX; Schema: tasker; Owner: -
--

CREATE INDEX template_steps_that_depend_on_none ON tasker.template_steps USING btree (template_id, step_no) WHERE (depends_on = '{}'::integer[]);


--
-- Name: timers_by_time; Type: INDEX; Schema: tasker; Owner: -
--

CREATE INDEX timers_by_time ON tasker.timers USING btree (due_at);


--
-- Name: namespaces notify_namespace_created; Type: TRIGGER; Schema: tasker; Owner: -
--

CREATE TRIGGER notify_namespace_created AFTER INSERT ON tasker.namespaces REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tasker.notify_namespace_created();


--
-- Name: namespaces notify_namespace_removed; Type: TRIGGER; Schema: tasker; Owner: -
--

CREATE TRIGGER notify_namespace_removed AFTER DELETE ON tasker.namespaces REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION tasker.notify_namespace_removed();


--
-- Name: ready_steps notify_task_ready_on_step_transition; Type: TRIGGER; Schema: tasker; Owner: -
--

CREATE TRIGGER notify_task_ready_on_step_transition AFTER INSERT ON tasker.ready_steps REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tasker.notify_task_ready_on_step_transition();


--
-- Name: task_transitions notify_task_state_change; Type: TRIGGER; Schema: tasker; Owner: -
--

CREATE TRIGGER notify_task_state_change AFTER INSERT ON tasker.task_transitions REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tasker.notify_task_state_change();


--
-- Name: notify_insert_throttle notify_insert_throttle_meta_queue_name_fk; Type: FK CONSTRAINT; Schema: pgmq; Owner: -
--

ALTER TABLE ONLY pgmq.notify_insert_throttle
    ADD CONSTRAINT notify_insert_throttle_meta_queue_name_fk FOREIGN KEY (queue_name) REFERENCES pgmq.meta(queue_name) ON DELETE CASCADE;


--
-- Name: topic_bindings topic_bindings_meta_queue_name_fk; Type: FK CONSTRAINT; Schema: pgmq; Owner: -
--

ALTER TABLE ONLY pgmq.topic_bindings
    ADD CONSTRAINT topic_bindings_meta_queue_name_fk FOREIGN KEY (queue_name) REFERENCES pgmq.meta(queue_name) ON DELETE CASCADE;


--
-- Name: queues_to_refill queues_to_refill_namespace_fkey; Type: FK CONSTRAINT; Schema: tasker; Owner: -
--

ALTER TABLE ONLY tasker.queues_to_refill
    ADD CONSTRAINT queues_to_refill_namespace_fkey FOREIGN KEY (namespace) REFERENCES tasker.namespaces(namespace) ON DELETE CASCADE;


--
-- Name: template_steps template_steps_template_id_fkey; Type: FK CONSTRAINT; Schema: tasker; Owner: -
--

ALTER TABLE ONLY tasker.template_steps
    ADD CONSTRAINT template_steps_template_id_fkey FOREIGN KEY (template_id) REFERENCES tasker.templates(template_id);


--
-- Name: templates templates_namespace_fkey; Type: FK CONSTRAINT; Schema: tasker; Owner: -
--

ALTER TABLE ONLY tasker.templates
    ADD CONSTRAINT templates_namespace_fkey FOREIGN KEY (namespace) REFERENCES tasker.namespaces(namespace);


--
-- PostgreSQL database dump complete
--


